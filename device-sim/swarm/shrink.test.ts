import { expect, test } from 'vitest';
import { type SwarmOptions, swarmOptions } from './options.ts';
import { shrink } from './shrink.ts';
import { storyOf } from './story.ts';

test('shrink: a planted bug that needs no fault → never larger from one run to the next, down to one device and one day', async () => {
  const first = swarmOptions({ seed: 1, devices: 2, days: 3, campaignEveryDays: 2, canary: 'use-before-durable' });
  const sizesOf = ({ devices, days, faults }: SwarmOptions) => [devices, days, faults.length];
  const steps = [sizesOf(first)];
  const { options, result } = await shrink(first, 'I3', (smaller) => steps.push(sizesOf(smaller)));

  for (let at = 1; at < steps.length; at++) {
    const [before, after] = [steps[at - 1] ?? [], steps[at] ?? []];
    expect(after.every((size, index) => size <= (before[index] ?? 0))).toBe(true);
    expect(after).not.toEqual(before);
  }
  expect(sizesOf(options)).toEqual([1, 1, 0]);
  expect(result.broken.map(({ invariant }) => invariant)).toContain('I3');
  expect(result.entries.length).toBeGreaterThan(0);
});

test('shrink: the old key revoked as the new one is registered → a story of at most ten lines that tells it', async () => {
  const first = swarmOptions({ seed: 1, devices: 3, days: 4, campaignEveryDays: 2, canary: 'revoke-at-mint' });
  const { options, result, tries } = await shrink(first, 'I2', () => {});
  const broken = result.broken.find(({ invariant }) => invariant === 'I2');
  if (broken === undefined) throw new Error('expected the small run to break I2, too');
  expect({ devices: options.devices, faults: options.faults }).toEqual({ devices: 1, faults: [] });
  expect(options.days).toBeLessThanOrEqual(2);
  expect(tries).toBeLessThanOrEqual(80);
  const story = storyOf(result.entries, broken);
  expect(story.length).toBeLessThanOrEqual(10);
  expect(story.some((line) => line.includes('the operator orders: campaign: start'))).toBe(true);
  expect(story.at(-1)).toContain('I2 is broken');
  expect(result.replay).toContain('--canary revoke-at-mint --only none');
});
