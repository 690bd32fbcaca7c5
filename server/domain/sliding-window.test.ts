import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { takeFromWindow, windowAt } from './sliding-window.ts';

const MAX = 60;
const WINDOW_MS = 60_000;

describe('sliding window', () => {
  test.each([
    ['empty', [], 1_000_000, { remaining: 60, resetSeconds: 0 }],
    ['one just now', [1_000_000], 1_000_000, { remaining: 59, resetSeconds: 60 }],
    ['full since 59 s', Array(60).fill(941_000), 1_000_000, { remaining: 0, resetSeconds: 1 }],
    ['full since exactly 60 s', Array(60).fill(940_000), 1_000_000, { remaining: 60, resetSeconds: 0 }],
    ['hits from a clock set back a day', [86_400_000 * 2], 86_400_000, { remaining: 60, resetSeconds: 0 }],
  ])('%s → what remains, and when more does', (_name, hits, nowMs, expected) => {
    expect(windowAt(hits, { nowMs, windowMs: WINDOW_MS, max: MAX })).toMatchObject(expected);
  });

  test('any arrivals: never more than 60 accepted in any 60 s, and never one refused that would fit', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 400 }), (gapsMs) => {
        let nowMs = 10_000_000;
        let hits: number[] = [];
        const accepted: number[] = [];
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          const next = takeFromWindow(hits, { nowMs, windowMs: WINDOW_MS, max: MAX });
          const inWindow = accepted.filter((at) => at > nowMs - WINDOW_MS).length;
          expect(next !== null).toBe(inWindow < MAX);
          if (next === null) continue;
          hits = next;
          accepted.push(nowMs);
        }
        expect(hits.length).toBeLessThanOrEqual(MAX);
      }),
    );
  });

  test('a full window: waiting as long as it says → one more fits', () => {
    const full = Array.from({ length: 60 }, (_, i) => 1_000_000 + i * 500);
    const nowMs = 1_031_000;
    const { resetSeconds } = windowAt(full, { nowMs, windowMs: WINDOW_MS, max: MAX });
    const later = { nowMs: nowMs + resetSeconds * 1000, windowMs: WINDOW_MS, max: MAX };
    expect(takeFromWindow(full, later)).not.toBeNull();
  });
});
