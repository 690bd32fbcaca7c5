import type { Condition } from '../ports/metadata-store.ts';
import type { TableName, Tables } from '../ports/tables.ts';
import type { Deps } from './deps.ts';

/** Rows read at once: enough to share the way to the store, few enough to hold in memory. */
const PAGE_ROWS = 500;

export interface RowsQuery<Row> {
  where: readonly Condition<Row>[];
  /** Ends with a column that no two rows share: the next page starts behind the last row of this one. */
  orderBy: readonly (readonly [keyof Row & string, 'asc' | 'desc'])[];
}

/** All rows of a query, a page at a time. Rows may be changed or deleted while their page is at hand. */
export async function* pagesOf<T extends TableName>(
  deps: Pick<Deps, 'store'>,
  table: T,
  query: RowsQuery<Tables[T]>,
  pageRows = PAGE_ROWS,
): AsyncGenerator<Tables[T][], void, void> {
  let after: (string | number)[] | null = null;
  for (;;) {
    const rows: Tables[T][] = await deps.store.list(table, {
      ...query,
      ...(after === null ? {} : { after }),
      limit: pageRows,
    });
    yield rows;
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < pageRows) return;
    after = query.orderBy.map(([column]) => last[column] as string | number);
  }
}

/** The same row by row. */
export async function* rowsOf<T extends TableName>(
  deps: Pick<Deps, 'store'>,
  table: T,
  query: RowsQuery<Tables[T]>,
): AsyncGenerator<Tables[T], void, void> {
  for await (const page of pagesOf(deps, table, query)) yield* page;
}
