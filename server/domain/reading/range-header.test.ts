import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRange } from './range-header.ts';

const part = (from: number, to: number, openEnded = false) => ({ kind: 'part', from, to, openEnded });
const whole = { kind: 'whole' };
const unsatisfiable = { kind: 'unsatisfiable' };

describe('parseRange', () => {
  it.each([
    [undefined, 100, whole],
    ['bytes=0-', 100, part(0, 100, true)],
    ['bytes=10-', 100, part(10, 100, true)],
    ['bytes=99-', 100, part(99, 100, true)],
    ['bytes=100-', 100, unsatisfiable],
    ['bytes=10-19', 100, part(10, 20)],
    ['bytes=10-10', 100, part(10, 11)],
    ['bytes=10-999', 100, part(10, 100)],
    ['bytes=19-10', 100, whole],
    ['bytes=-5', 100, part(95, 100)],
    ['bytes=-500', 100, part(0, 100)],
    ['bytes=-0', 100, unsatisfiable],
    ['bytes=-', 100, whole],
    ['bytes=0-4,10-14', 100, whole],
    ['lines=1-2', 100, whole],
    ['bytes 1-2', 100, whole],
    ['BYTES = 1 - 2', 100, part(1, 3)],
    ['bytes=-5', 0, unsatisfiable],
    ['bytes=0-', 0, whole],
    ['bytes=0-0', 0, whole],
    ['bytes=1-', 0, unsatisfiable],
    ['bytes=99999999999999999999-', 100, unsatisfiable],
  ] as const)('%s of %i bytes → %o', (header, size, outcome) => expect(parseRange(header, size)).toEqual(outcome));

  it('any text: never throws, and a part lies within the file', () => {
    const text = fc.oneof(
      fc.string(),
      fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a}-${b}`),
    );
    fc.assert(
      fc.property(text, fc.nat(1000), (header, size) => {
        const range = parseRange(header, size);
        if (range.kind !== 'part') return;
        expect(range.from).toBeGreaterThanOrEqual(0);
        expect(range.to).toBeGreaterThan(range.from);
        expect(range.to).toBeLessThanOrEqual(size);
      }),
    );
  });
});
