import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acknowledgedBy, addRange, bytesIn, covers, type Ranges, unite } from './byte-ranges.ts';

const SIZE = 40;
const piece = fc.tuple(fc.nat(SIZE), fc.nat(SIZE)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const pieces = fc.array(piece, { maxLength: 12 });
const build = (list: readonly (readonly [number, number])[]) =>
  list.reduce<Ranges>((sum, [from, to]) => addRange(sum, from, to), []);
const bytesOf = (list: readonly (readonly [number, number])[]) =>
  new Set(list.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i)));

describe('byte ranges', () => {
  it('addRange: any pieces in any order → the set of their bytes, sorted, apart from each other', () => {
    fc.assert(
      fc.property(pieces, (list) => {
        const ranges = build(list);
        expect(bytesOf(ranges)).toEqual(bytesOf(list));
        expect(bytesIn(ranges)).toBe(bytesOf(list).size);
        for (let i = 1; i < ranges.length; i++) expect(ranges[i]?.[0]).toBeGreaterThan(ranges[i - 1]?.[1] ?? -1);
        for (const [from, to] of ranges) expect(to).toBeGreaterThan(from);
      }),
    );
  });

  it('unite, covers: any two sets → every byte of both; the file is covered only with all its bytes', () => {
    fc.assert(
      fc.property(pieces, pieces, fc.nat(SIZE), (a, b, size) => {
        const both = unite(build(a), build(b));
        const bytes = bytesOf([...a, ...b]);
        expect(bytesOf(both)).toEqual(bytes);
        const all = Array.from({ length: size }, (_, i) => i).every((byte) => bytes.has(byte));
        expect(covers(both, size)).toBe(all);
      }),
    );
  });

  it('addRange: what it was given → not changed', () => {
    const before: Ranges = [[0, 5]];
    addRange(before, 3, 9);
    addRange(before, 9, 9)[0]?.splice(0, 1, 99);
    expect(before).toEqual([[0, 5]]);
  });

  it.each([
    { served: [[0, 10]], from: 4, has: [0, 4] },
    { served: [[0, 10]], from: 10, has: [0, 10] },
    { served: [[0, 10]], from: 11, has: null },
    { served: [[5, 10]], from: 5, has: null },
    {
      served: [
        [0, 3],
        [5, 10],
      ],
      from: 7,
      has: [5, 7],
    },
    { served: [], from: 1, has: null },
  ] as { served: Ranges; from: number; has: [number, number] | null }[])(
    'acknowledgedBy: $served, on from $from → $has',
    ({ served, from, has }) => expect(acknowledgedBy(served, from)).toEqual(has),
  );
});
