import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { afterFailure, FAILURES_KEPT_MS, networkOf, secondsToWait, type Waits } from './waits.ts';

function failTimes(count: number, nowMs: number): Waits | null {
  let state: Waits | null = null;
  for (let i = 0; i < count; i++) state = afterFailure(state, nowMs);
  return state;
}

describe('waits', () => {
  test.each([
    [0, 0],
    [1, 0],
    [4, 0],
    [5, 1],
    [6, 2],
    [7, 4],
    [10, 32],
    [16, 2048],
    [17, 3600],
    [500, 3600],
  ])('wait: after %i failures → %i s', (failures, seconds) => {
    expect(secondsToWait(failTimes(failures, 1_000_000), 1_000_000)).toBe(seconds);
  });

  test('wait: a day without a failure → counting starts again', () => {
    const state = failTimes(12, 0);
    expect(afterFailure(state, FAILURES_KEPT_MS - 1).failures).toBe(13);
    expect(afterFailure(state, FAILURES_KEPT_MS).failures).toBe(1);
  });

  test('wait: the clock is set back by years → never longer than an hour', () => {
    expect(secondsToWait(failTimes(9, 1_700_000_000_000), 0)).toBe(3600);
  });

  test('wait: failures that are free, looked at by a node whose clock is behind → none', () => {
    expect(secondsToWait(failTimes(4, 1_000_000), 999_000)).toBe(0);
  });

  test('wait: any number of failures → grows, never beyond the limit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), (failures) => {
        const wait = secondsToWait(failTimes(failures, 5), 5);
        expect(wait).toBeLessThanOrEqual(3600);
        expect(wait).toBeGreaterThanOrEqual(secondsToWait(failTimes(failures - 1, 5), 5));
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::', 'fe80:0:0:0::/64'],
  ])('network: %s → %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
