/** Half-open byte ranges `[from, to)`, sorted, disjoint, not touching. */
export type Ranges = [from: number, to: number][];

/** The union of `ranges` and `[from, to)`. An empty range adds nothing. */
export function addRange(ranges: Readonly<Ranges>, from: number, to: number): Ranges {
  if (to <= from) return ranges.map(([a, b]) => [a, b]);
  const out: Ranges = [];
  let start = from;
  let end = to;
  for (const [a, b] of ranges) {
    if (b < start || a > end) out.push([a, b]);
    else {
      start = Math.min(start, a);
      end = Math.max(end, b);
    }
  }
  out.push([start, end]);
  return out.sort((x, y) => x[0] - y[0]);
}

/** The union of two sets of ranges. */
export function unite(a: Readonly<Ranges>, b: Readonly<Ranges>): Ranges {
  return b.reduce<Ranges>(
    (sum, [from, to]) => addRange(sum, from, to),
    a.map(([from, to]) => [from, to]),
  );
}

/** Whether the ranges hold every byte of a file of `size` bytes. True for an empty file. */
export function covers(ranges: Readonly<Ranges>, size: number): boolean {
  if (size === 0) return true;
  const first = ranges[0];
  return first !== undefined && first[0] === 0 && first[1] >= size;
}

/** How many bytes the ranges hold. */
export function bytesIn(ranges: Readonly<Ranges>): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/**
 * The part of `served` that a reader says it has by asking to go on at `from`: everything before `from` in the
 * stretch that was being served there. Null where nothing was served up to `from`.
 */
export function acknowledgedBy(served: Readonly<Ranges>, from: number): [number, number] | null {
  for (const [a, b] of served) if (a < from && from <= b) return [a, from];
  return null;
}
