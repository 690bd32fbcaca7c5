import { describe, expect, it } from 'vitest';
import { sealedBytes, segmentAad, segmentBytesFor, segmentCount, segmentPosition } from './segments.ts';

const KIB = 1_024;
const MIB = KIB * KIB;

describe('segments of a file at rest', () => {
  it.each([
    [0, 64 * KIB],
    [64 * KIB, 64 * KIB],
    [8 * MIB - 1, 64 * KIB],
    [8 * MIB, MIB],
    [5 * KIB * MIB, MIB],
    [null, MIB],
  ])('%s bytes expected → segments of %i', (bytes, size) => expect(segmentBytesFor(bytes)).toBe(size));

  it.each([
    [0, 1, 28],
    [1, 1, 29],
    [100, 1, 128],
    [101, 2, 157],
    [200, 2, 256],
    [201, 3, 285],
  ])('%i bytes in segments of 100 → %i of them, %i bytes at rest', (size, count, stored) => {
    expect([segmentCount(size, 100), sealedBytes(size, 100)]).toEqual([count, stored]);
    expect(segmentPosition(count - 1, 100)).toBe((count - 1) * 128);
  });

  it('5 GiB → positions and sizes beyond 32 bits stay exact', () => {
    const size = 5 * KIB * MIB;
    expect(segmentCount(size, MIB)).toBe(5_120);
    expect(sealedBytes(size, MIB)).toBe(size + 5_120 * 28);
    expect(segmentPosition(5_119, MIB)).toBe(5_119 * (MIB + 28));
  });

  it('AAD → id, index as 8 bytes big-endian, flag; no two of them alike', () => {
    const id = new Uint8Array(32).fill(0xaa);
    expect([...segmentAad(id, 258, 'last')]).toEqual([...id, 0, 0, 0, 0, 0, 0, 1, 2, 1]);
    expect([...segmentAad(id, 2 ** 32 + 1, 'inner').subarray(32)]).toEqual([0, 0, 0, 1, 0, 0, 0, 1, 0]);
    const all = [0, 1, 2 ** 32].flatMap((index) =>
      (['inner', 'last', 'tail'] as const).map((flag) => segmentAad(id, index, flag).toString()),
    );
    expect(new Set(all).size).toBe(9);
  });
});
