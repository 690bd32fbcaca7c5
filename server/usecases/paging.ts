import { PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX } from '#sdk/protocol';
import { fromBase64url, fromUtf8, toBase64url, utf8 } from '../domain/base64url.ts';
import { isWellFormed } from '../domain/upload/filename.ts';
import type { Condition, MetadataStore } from '../ports/metadata-store.ts';
import type { TableName, Tables } from '../ports/tables.ts';
import { FuselinkError } from './error.ts';

/** A cursor is where a page ended, opaque to clients: base64url of the JSON of the order's columns. */
export function encodeCursor(values: readonly (string | number)[]): string {
  return toBase64url(utf8(JSON.stringify(values)));
}

/** The values of a cursor this server gave; null for none; throws `invalid_field` for anything else. */
export function decodeCursor(
  text: string | undefined,
  types: readonly ('string' | 'number')[],
): (string | number)[] | null {
  if (text === undefined || text === '') return null;
  const bytes = text.length <= 1000 ? fromBase64url(text) : null;
  try {
    const values: unknown = bytes === null ? null : JSON.parse(fromUtf8(bytes));
    const fits =
      Array.isArray(values) && values.length === types.length && values.every((value, i) => fitsType(value, types[i]));
    if (fits) return values as (string | number)[];
  } catch {
    // Not JSON: told below like every other cursor that is not ours.
  }
  const detail = 'expected a cursor from the last page (next_cursor), got another text';
  throw new FuselinkError('invalid_field', `cursor: ${detail}.`, { errors: [{ field: 'cursor', detail }] });
}

/** Every number we page by is a whole one (a time, a place in a chain), and every text one that a store can hold. */
function fitsType(value: unknown, type: 'string' | 'number' | undefined): boolean {
  if (type === 'number') return Number.isSafeInteger(value);
  return typeof value === 'string' && isWellFormed(value) && !value.includes('\u0000');
}

export interface PageQuery {
  cursor?: string | undefined;
  limit?: number | undefined;
}

/** Tables that are listed newest first. */
type Dated = { [T in TableName]: Tables[T] extends { id: string; created_at_ms: number } ? T : never }[TableName];

/** A page of rows, newest first, and the cursor of the next one; null behind the last. */
export async function newestFirst<T extends Dated>(
  store: MetadataStore,
  table: T,
  where: readonly Condition<Tables[T]>[],
  query: PageQuery,
): Promise<{ rows: Tables[T][]; next_cursor: string | null }> {
  const limit = Math.min(query.limit ?? PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX);
  const after = decodeCursor(query.cursor, ['number', 'string']);
  const rows = await store.list(table, {
    where,
    orderBy: [
      ['created_at_ms' as keyof Tables[T] & string, 'desc'],
      ['id' as keyof Tables[T] & string, 'desc'],
    ],
    ...(after === null ? {} : { after }),
    limit: limit + 1,
  });
  const page = rows.slice(0, limit);
  const last = page[page.length - 1] as (Tables[T] & { id: string; created_at_ms: number }) | undefined;
  const more = rows.length > limit && last !== undefined;
  return { rows: page, next_cursor: more ? encodeCursor([last.created_at_ms, last.id]) : null };
}
