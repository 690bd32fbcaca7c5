import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IDEMPOTENCY_KEY_CHARS_MAX, IDEMPOTENCY_KEY_CHARS_MIN } from '../../protocol/index.ts';
import { fullJitterMs } from './back-off.ts';
import { budgetFreeAtMs, hitsInWindow } from './budget.ts';
import { freshKey, idempotencyKey } from './idempotency-key.ts';

const rules = { uploadsPerWindow: 60, windowMs: 60_000, uploadsKeptForLane0: 10 };

test('budget: uploads of lane 1 started as soon as allowed → never more than 50 in any window, and lane 0 always has 10', () => {
  let hits: number[] = [];
  const all: number[] = [];
  let nowMs = 5;
  for (let i = 0; i < 400; i++) {
    hits = hitsInWindow(hits, nowMs, rules);
    const at = budgetFreeAtMs(hits, 1, nowMs, rules);
    nowMs = Math.max(nowMs, at);
    hits = hitsInWindow(hits, nowMs, rules);
    expect(budgetFreeAtMs(hits, 1, nowMs, rules)).toBe(nowMs);
    hits = [...hits, nowMs];
    all.push(nowMs);
    expect(budgetFreeAtMs(hits, 0, nowMs, rules)).toBe(nowMs);
  }
  for (const at of all) expect(all.filter((t) => t > at - 60_000 && t <= at).length).toBeLessThanOrEqual(50);
  expect(nowMs).toBe(5 + 7 * 60_000);
});

test('budget: lane 0 alone → all 60, and the 61st when the first leaves the window', () => {
  const hits = Array.from({ length: 60 }, (_, i) => 1000 + i);
  expect(budgetFreeAtMs(hits, 0, 2000, rules)).toBe(61_000);
  expect(hitsInWindow(hits, 61_000, rules)).toHaveLength(59);
});

test('budget: clock jumped back → no start counts for longer than one window', () => {
  expect(hitsInWindow([1_000_000], 10, rules)).toEqual([10]);
});

test('back-off: any attempt and chance → within the floor and the cap', () => {
  const delays = { msMin: 100, msBase: 1000, msMax: 120_000 };
  fc.assert(
    fc.property(fc.nat(100_000), fc.double({ min: 0, max: 0.999999, noNaN: true }), (attempt, random) => {
      const ms = fullJitterMs(attempt, random, delays);
      expect(ms).toBeGreaterThanOrEqual(100);
      expect(ms).toBeLessThanOrEqual(Math.min(120_000, 1000 * 2 ** Math.min(attempt, 30)));
    }),
  );
});

test('idempotency key: any device name → ASCII, long enough, short enough; one part changed → another key', () => {
  const random = '00112233445566778899aabbccddeeff';
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (device, sequence) => {
      const key = freshKey(idempotencyKey({ device, boot: 'b1', sequence, random }), 5);
      expect(key).toMatch(/^[A-Za-z0-9._-]+$/);
      expect(key.length).toBeGreaterThanOrEqual(IDEMPOTENCY_KEY_CHARS_MIN);
      expect(key.length).toBeLessThanOrEqual(IDEMPOTENCY_KEY_CHARS_MAX);
    }),
  );
  const base = { device: 'pump', boot: '7', sequence: 1, random };
  const keys = [base, { ...base, sequence: 2 }, { ...base, boot: '8' }, { ...base, device: 'valve' }].map(
    idempotencyKey,
  );
  expect(new Set([...keys, freshKey(keys[0] as string, 1)]).size).toBe(5);
  expect(() => idempotencyKey({ ...base, random: 'abc' })).toThrow(RangeError);
});
