import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SEALED_FILE_MAGIC } from '#sdk/protocol';
import { looksSealed } from '#sdk/seal';
import { SealedStart } from './sealed-start.ts';

const MAGIC = Uint8Array.from(SEALED_FILE_MAGIC);

describe('SealedStart', () => {
  test('start: any bytes in any pieces, also continued after any of them → as looksSealed says of the whole', () => {
    const anyStart = fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.uint8Array({ maxLength: 8 }).map((rest) => Uint8Array.from([...MAGIC, ...rest])),
      fc.nat(7).map((at) => MAGIC.map((byte, index) => (index === at ? byte ^ 1 : byte))),
    );
    fc.assert(
      fc.property(anyStart, fc.array(fc.integer({ min: 1, max: 9 })), fc.nat(20), (bytes, cuts, resumeAt) => {
        let start = new SealedStart();
        let at = 0;
        for (const size of [...cuts, bytes.length]) {
          start.take(bytes.subarray(at, at + size));
          at = Math.min(bytes.length, at + size);
          if (at === Math.min(resumeAt, bytes.length))
            start = SealedStart.after(at, bytes.subarray(0, at), start.sealed);
        }
        expect(start.sealed).toBe(looksSealed(bytes));
        if (bytes.length >= 8) expect(start.isNot).toBe(!looksSealed(bytes));
        if (start.isNot) expect(looksSealed(bytes)).toBe(false);
      }),
    );
  });

  test('start: fewer than eight bytes → neither sealed nor ruled out', () => {
    const start = new SealedStart();
    start.take(MAGIC.subarray(0, 7));
    expect([start.sealed, start.isNot]).toEqual([false, false]);
  });
});
