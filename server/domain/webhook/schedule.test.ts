import { describe, expect, test } from 'vitest';
import { isHopeless, judgeTry, TRIES_MAX, type Verdict, waitMs } from './schedule.ts';
import { webhookTypeOf } from './types.ts';

describe('webhook schedule', () => {
  test.each<[number | null, number, Verdict]>([
    [200, 1, 'delivered'],
    [204, TRIES_MAX, 'delivered'],
    [301, 1, 'again'],
    [400, 1, 'again'],
    [410, 1, 'gone'],
    [500, TRIES_MAX - 1, 'again'],
    [500, TRIES_MAX, 'given-up'],
    [null, 1, 'again'],
    [null, TRIES_MAX, 'given-up'],
  ])('a try that ends with %s as number %i → %s', (status, tries, verdict) => {
    expect(judgeTry(status, tries)).toBe(verdict);
  });

  test('waits: one try after the other → each longer, within a fifth by chance, a day in all', () => {
    const waits = (chance: number) =>
      Array.from({ length: TRIES_MAX - 1 }, (_, i) => waitMs(i + 1, { chance, retryAfterSeconds: null }));
    const [least, most] = [waits(0), waits(1)];
    expect(least.slice(0, 4)).toEqual([4_000, 16_000, 64_000, 256_000]);
    expect(most.slice(0, 4)).toEqual([6_000, 24_000, 96_000, 384_000]);
    expect(least).toEqual([...least].sort((a, b) => a - b));
    const hours = waits(0.5).reduce((sum, wait) => sum + wait, 0) / 3_600_000;
    expect(hours).toBeGreaterThan(20);
    expect(hours).toBeLessThan(30);
  });

  test('waits: the receiver asks for more, or for too much → that, or the most there is', () => {
    expect(waitMs(1, { chance: 0.5, retryAfterSeconds: 60 })).toBe(60_000);
    expect(waitMs(1, { chance: 0.5, retryAfterSeconds: 10_000_000 })).toBe(8 * 3_600_000);
  });

  test('hopeless: nothing taken for a day → yes; for an hour, or the last one was → no', () => {
    expect([isHopeless(0, 86_400_000), isHopeless(0, 3_600_000), isHopeless(null, 86_400_000)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test.each([
    ['transfer.delivered', 'transfer.delivered'],
    ['transfer.read', null],
    ['campaign.paused', 'campaign.paused'],
    ['rotation.alarm.old-key-after-proof', 'key.alarm'],
    ['rotation.alarmed', null],
    ['signing_key.changed', 'key.alarm'],
    ['device.silent', 'device.silent'],
  ])('an entry %s → told as %s', (action, type) => {
    expect(webhookTypeOf(action)).toBe(type);
  });
});
