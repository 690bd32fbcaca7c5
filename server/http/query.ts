import { PAGE_ROWS_MAX } from '#sdk/protocol';
import { quoted, wholeNumber } from '../domain/upload/upload-options.ts';
import { FuselinkError } from '../usecases/error.ts';

/** Refuses query parameters a route does not know: a misspelt filter would silently show everything. */
export function knownQuery(query: URLSearchParams, known: readonly string[]): void {
  for (const name of query.keys()) {
    if (known.includes(name)) continue;
    const detail = `expected one of ${known.join(', ') || '(none)'}, got ${quoted(name)}`;
    throw new FuselinkError('invalid_field', `Query: ${detail}.`, { errors: [{ field: name.slice(0, 60), detail }] });
  }
}

/** `limit` and `cursor` of a list. */
export function pageQuery(query: URLSearchParams): { limit: number | undefined; cursor: string | undefined } {
  const text = query.get('limit');
  const cursor = query.get('cursor') ?? undefined;
  if (text === null) return { limit: undefined, cursor };
  const checked = wholeNumber('rows', 1, PAGE_ROWS_MAX)(text);
  if (checked.ok) return { limit: checked.value, cursor };
  throw new FuselinkError('invalid_field', `limit: ${checked.detail}.`, {
    errors: [{ field: 'limit', detail: checked.detail }],
  });
}

/** One of a few words, or undefined where it was not said. */
export function oneOf<T extends string>(query: URLSearchParams, name: string, words: readonly T[]): T | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const word = words.find((candidate) => candidate === text);
  if (word !== undefined) return word;
  const detail = `expected one of ${words.join(', ')}, got ${quoted(text)}`;
  throw new FuselinkError('invalid_field', `${name}: ${detail}.`, { errors: [{ field: name, detail }] });
}
