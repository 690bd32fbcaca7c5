import { expect, test } from 'vitest';
import { type SwarmOptions, swarmOptions } from './options.ts';
import { shrink } from './shrink.ts';

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
