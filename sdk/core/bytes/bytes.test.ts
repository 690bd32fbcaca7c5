import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  concatBytes,
  copyBytes,
  crc32,
  equalBytes,
  fromAscii,
  fromHex,
  readU32be,
  readU32le,
  readU48le,
  toAscii,
  toHex,
  U48_MAX,
  writeU32be,
  writeU32le,
  writeU48le,
} from './index.ts';

test('crc32: the check value of the catalogue, whole and continued in two parts', () => {
  const check = fromAscii('123456789');
  expect(crc32(check, 0, 9, 0)).toBe(0xcbf43926);
  expect(crc32(check, 4, 9, crc32(check, 0, 4, 0))).toBe(0xcbf43926);
  expect(crc32(check, 3, 3, 0)).toBe(0);
});

test('crc32: any single flipped bit → another value', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(), (bytes, at) => {
      const before = crc32(bytes, 0, bytes.length, 0);
      const bit = at % (bytes.length * 8);
      bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7));
      expect(crc32(bytes, 0, bytes.length, 0)).not.toBe(before);
    }),
  );
});

test('integers: written → read back the same, in the byte order they are named for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.maxSafeNat(), (small, large) => {
      const bytes = new Uint8Array(8);
      writeU32le(bytes, 1, small);
      expect(readU32le(bytes, 1)).toBe(small);
      expect(new DataView(bytes.buffer).getUint32(1, true)).toBe(small);
      writeU32be(bytes, 2, small);
      expect(readU32be(bytes, 2)).toBe(small);
      expect(new DataView(bytes.buffer).getUint32(2, false)).toBe(small);
      const wide = large % (U48_MAX + 1);
      writeU48le(bytes, 1, wide);
      expect(readU48le(bytes, 1)).toBe(wide);
      expect(bytes[0]).toBe(0);
      expect(bytes[7]).toBe(0);
    }),
  );
  const edge = new Uint8Array(6);
  writeU48le(edge, 0, U48_MAX);
  expect(toHex(edge)).toBe('ffffffffffff');
  expect(readU48le(edge, 0)).toBe(U48_MAX);
});

test('hex: both cases are read, lower is written, anything else → null', () => {
  expect(toHex(Uint8Array.of(0, 1, 171, 255))).toBe('0001abff');
  expect(fromHex('0001ABff')).toEqual(Uint8Array.of(0, 1, 171, 255));
  expect(fromHex('')).toEqual(new Uint8Array(0));
  for (const wrong of ['0', 'zz', '0g', ' 1', '１１']) expect(fromHex(wrong), wrong).toBeNull();
});

test('ascii: every byte value → itself', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(fromAscii(toAscii(bytes))).toEqual(bytes);
    }),
  );
});

test('arrays: a copy shares no memory, equality needs length and content', () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  const copy = copyBytes(bytes, 1, 3);
  copy[0] = 9;
  expect(bytes).toEqual(Uint8Array.of(1, 2, 3, 4));
  expect(concatBytes(copy, bytes)).toEqual(Uint8Array.of(9, 3, 1, 2, 3, 4));
  expect(equalBytes(copy, Uint8Array.of(9, 3))).toBe(true);
  expect(equalBytes(copy, Uint8Array.of(9))).toBe(false);
  expect(equalBytes(copy, Uint8Array.of(9, 4))).toBe(false);
});
