export type RangeRequest =
  | { kind: 'whole' }
  /** `openEnded`: `bytes=N-`, all the rest. */
  | { kind: 'part'; from: number; to: number; openEnded: boolean }
  | { kind: 'unsatisfiable' };

/**
 * Reads a `Range` header [RFC 9110 §14.2] against a file of `size` bytes. `to` is exclusive. What is not a single
 * byte range (several ranges, other units, nonsense) is ignored, as the RFC allows: the answer is then the whole file.
 * So is `bytes=0-` of an empty file, which tools send that look for a part to go on with and have none.
 */
export function parseRange(header: string | undefined, size: number): RangeRequest {
  if (header === undefined) return { kind: 'whole' };
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header);
  if (match === null) return { kind: 'whole' };
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return { kind: 'whole' };
  if (first === '') {
    const suffix = Number(last);
    if (suffix === 0 || size === 0) return { kind: 'unsatisfiable' };
    return { kind: 'part', from: Math.max(0, size - suffix), to: size, openEnded: false };
  }
  const from = Number(first);
  if (last !== '' && Number(last) < from) return { kind: 'whole' };
  if (size === 0 && from === 0) return { kind: 'whole' };
  if (from >= size) return { kind: 'unsatisfiable' };
  const openEnded = last === '';
  return { kind: 'part', from, to: openEnded ? size : Math.min(size, Number(last) + 1), openEnded };
}
