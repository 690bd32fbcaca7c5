import { fromBase64url, fromUtf8, toBase64url, utf8 } from '../domain/base64url.ts';
import { isWellFormed } from '../domain/upload/filename.ts';
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
