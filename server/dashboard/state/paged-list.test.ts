import { describe, expect, test } from 'vitest';
import { createPagedList, type Page } from './paged-list.ts';

/** A server with rows 0…count-1 in pages of ten, which can be made to fail or to wait. */
function source(count: number, options: { total?: boolean } = {}) {
  const asked: (string | undefined)[] = [];
  let failures = 0;
  let gate: Promise<void> = Promise.resolve();
  const list = createPagedList<number>(async (cursor): Promise<Page<number>> => {
    asked.push(cursor);
    await gate;
    if (failures > 0) {
      failures--;
      throw new Error('broken');
    }
    const from = Number(cursor ?? 0);
    const rows = Array.from({ length: Math.min(10, count - from) }, (_, at) => from + at);
    const next = from + 10 < count ? String(from + 10) : null;
    return { rows, next, ...(options.total === true ? { total: count } : {}) };
  });
  return {
    list,
    asked,
    failNext: () => {
      failures++;
    },
    hold() {
      let open = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      return open;
    },
  };
}

const settled = async () => {
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
};

describe('a paged list', () => {
  test('somebody looks at row 25 → three pages, one after the other, and no more', async () => {
    const { list, asked } = source(100, { total: true });
    list.want(25);
    await settled();
    expect(asked).toEqual([undefined, '10', '20']);
    expect(list.state.value).toMatchObject({ expected: 100, loading: false, next: '30', error: null });
    expect(list.state.value.rows).toHaveLength(30);
  });

  test('without a total → one row more is expected while there is a next page, and none behind the last', async () => {
    const { list } = source(15);
    list.want(0);
    await settled();
    expect(list.state.value.expected).toBe(11);
    list.want(14);
    await settled();
    expect(list.state.value).toMatchObject({ expected: 15, next: null });
  });

  test('a page fails → said, what is there stays, and asking again goes on where it was', async () => {
    const { list, asked, failNext } = source(30);
    list.want(5);
    await settled();
    failNext();
    list.want(15);
    await settled();
    expect(list.state.value.rows).toHaveLength(10);
    expect(list.state.value.error).toEqual(new Error('broken'));
    list.retry();
    await settled();
    expect(list.state.value.rows).toHaveLength(20);
    expect(list.state.value.error).toBeNull();
    expect(asked).toEqual([undefined, '10', '10']);
  });

  test('begun anew while an answer is on its way → the late answer is dropped', async () => {
    const { list, hold } = source(30);
    const open = hold();
    list.want(0);
    list.restart();
    open();
    await settled();
    expect(list.state.value.rows).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('refreshed → changed rows as they are now, new ones on top, the rest where it was', async () => {
    let version = 1;
    const list = createPagedList<{ id: string; version: number }>(async (cursor) => {
      const first = version === 1 ? ['b', 'c'] : ['a', 'b'];
      const ids = cursor === undefined ? first : ['d', 'e'];
      return { rows: ids.map((id) => ({ id, version })), next: cursor === undefined ? 'more' : null };
    });
    list.want(3);
    await settled();
    version = 2;
    await list.refresh(({ id }) => id);
    expect(list.state.value.rows.map(({ id, version: at }) => `${id}${at}`)).toEqual(['a2', 'b2', 'c1', 'd1', 'e1']);
  });

  test('refreshed, and all of it is one page → exactly that page, without what has gone', async () => {
    let rows = ['a', 'b'];
    const list = createPagedList<string>(async () => ({ rows, next: null }));
    list.want(0);
    await settled();
    rows = ['b'];
    await list.refresh((id) => id);
    expect(list.state.value.rows).toEqual(['b']);
  });

  test('refreshed before anything was read, or where the refresh fails → nothing changes', async () => {
    const { list, failNext } = source(5);
    await list.refresh(String);
    expect(list.state.value.rows).toEqual([]);
    list.want(0);
    await settled();
    failNext();
    await list.refresh(String);
    expect(list.state.value).toMatchObject({ rows: [0, 1, 2, 3, 4], error: null });
  });
});
