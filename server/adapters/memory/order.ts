/** Values that may be ordered: what `text`, `int` and `bool` columns hold. */
export type Ordered = string | number | boolean | null;

/**
 * Orders as SQLite and PostgreSQL (collation "C") do: null first, numbers by size, text by its UTF-8 bytes, which is by
 * code point. Values of one column share a type.
 */
export function compareValues(a: Ordered, b: Ordered): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  return a < b ? -1 : 1;
}

function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return codePointRank(left) - codePointRank(right);
  }
  return a.length - b.length;
}

/** Moves surrogates (0xD800-0xDFFF, which stand for code points above 0xFFFF) behind all other UTF-16 units. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** Compares tuples as far as the shorter one goes: equal means that one begins with the other. */
export function comparePrefix(a: readonly Ordered[], b: readonly Ordered[]): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const order = compareValues(a[at] as Ordered, b[at] as Ordered);
    if (order !== 0) return order;
  }
  return 0;
}
