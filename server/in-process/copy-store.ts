import { allTables } from '../adapters/rows.ts';
import type { MetadataStore, Write } from '../ports/metadata-store.ts';

const PAGE_ROWS = 500;

/** Every row of a store, put into another: what a backup holds. Rows that are there already are replaced. */
export async function copyRows(from: MetadataStore, to: MetadataStore): Promise<void> {
  // Each table's own types are put aside: a row that came out of a table fits into it.
  const loose = from as unknown as { list(table: string, query: object): Promise<Record<string, unknown>[]> };
  for (const { name, key } of allTables()) {
    let after: string[] | null = null;
    for (;;) {
      const page = { where: [], orderBy: [[key, 'asc']], ...(after === null ? {} : { after }), limit: PAGE_ROWS };
      const rows: Record<string, unknown>[] = await loose.list(name, page);
      if (rows.length > 0) await to.commit(rows.map((row) => ({ kind: 'put', table: name, row }) as unknown as Write));
      const last = rows[rows.length - 1];
      if (last === undefined || rows.length < PAGE_ROWS) break;
      after = [String(last[key])];
    }
  }
}
