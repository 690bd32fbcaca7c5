import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { wordsOf } from '../api/calls.ts';
import type { PagedList } from '../state/paged-list.ts';
import { visibleRows } from '../state/visible-rows.ts';
import { Failure } from './failure.tsx';

export interface Column<T> {
  name: string;
  /** `main` is always shown; `more` where there is room, `most` where there is much. */
  room?: 'main' | 'more' | 'most';
  /** Right-aligned figures. */
  figures?: boolean;
  cell: (row: T) => ComponentChildren;
}

/**
 * A table of any length: only the rows in sight are in the document, the list behind it is fetched as far as somebody
 * scrolls, and the scroll bar knows the whole from the beginning.
 */
export function WindowedTable<T>({
  list,
  columns,
  keyOf,
  label,
  empty,
}: {
  list: PagedList<T>;
  columns: readonly Column<T>[];
  keyOf: (row: T) => string;
  label: string;
  empty: ComponentChildren;
}) {
  const frame = useRef<HTMLElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const { rows, expected, error, next, loading } = list.state.value;

  useLayoutEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const look = () => setView({ top: element.scrollTop, height: element.clientHeight });
    look();
    const watcher = new ResizeObserver(look);
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    if (frame.current !== null) frame.current.scrollTop = 0;
  }, [list]);

  const { first, last, abovePx, belowPx } = visibleRows(view.top, view.height, expected);
  useEffect(() => {
    list.want(last);
  }, [list, last]);

  const nothing = next === null && rows.length === 0;
  const shown = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at);
  return (
    <>
      {error === null ? null : <Failure text={wordsOf(error)} retry={() => list.retry()} />}
      {nothing ? (
        empty
      ) : (
        <section
          class="table-frame"
          ref={frame}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
          tabIndex={0}
          aria-label={label}
          aria-busy={loading ? 'true' : 'false'}
          onScroll={(event) =>
            setView({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })
          }
        >
          <table aria-rowcount={expected + 1}>
            <thead>
              <tr aria-rowindex={1}>
                {columns.map(({ name, room = 'main', figures }) => (
                  <th key={name} scope="col" class={`${room}${figures === true ? ' figures' : ''}`}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              <Room px={abovePx} columns={columns.length} />
              {shown.map((index) => (
                <Row
                  key={rows[index] === undefined ? `at-${index}` : keyOf(rows[index])}
                  index={index}
                  row={rows[index]}
                  columns={columns}
                />
              ))}
              <Room px={belowPx} columns={columns.length} />
            </tbody>
          </table>
        </section>
      )}
    </>
  );
}

function Room({ px, columns }: { px: number; columns: number }) {
  if (px === 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row of no content, which nothing can focus
    <tr aria-hidden="true" class="room">
      <td colSpan={columns} style={{ height: `${px}px` }} />
    </tr>
  );
}

function Row<T>({ row, index, columns }: { row: T | undefined; index: number; columns: readonly Column<T>[] }) {
  return (
    <tr aria-rowindex={index + 2}>
      {columns.map(({ name, room = 'main', figures, cell }) => (
        <td key={name} class={`${room}${figures === true ? ' figures' : ''}`}>
          {row === undefined ? <span class="coming" /> : cell(row)}
        </td>
      ))}
    </tr>
  );
}
