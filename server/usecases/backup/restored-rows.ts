import type { Write } from '../../ports/metadata-store.ts';
import type { TableName, Tables } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { pagesOf } from '../rows.ts';

/** Rows held in memory at a time. */
const PAGE_ROWS = 200;
export const RESTORED = 'the database was restored from a backup';

/** Commits, or throws: nobody else may write while a restored database is settled. */
export async function must(deps: Pick<Deps, 'store'>, writes: readonly Write[]): Promise<void> {
  const outcome = await deps.store.commit(writes);
  if (!outcome.ok)
    throw new Error(
      `a restored database was changed by somebody else (${outcome.reason}): stop every server and repeat`,
    );
}

/** Each row of a table once, in the order of `key`; `act` may change or delete it. */
export async function eachRow<T extends TableName>(
  deps: Pick<Deps, 'store'>,
  table: T,
  key: keyof Tables[T] & string,
  act: (row: Tables[T]) => Promise<void>,
): Promise<void> {
  const query = { where: [], orderBy: [[key, 'asc']] } as const;
  for await (const rows of pagesOf(deps, table, query, PAGE_ROWS)) for (const row of rows) await act(row);
}
