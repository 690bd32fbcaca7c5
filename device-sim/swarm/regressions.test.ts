import { expect, test } from 'vitest';
import { swarmOptions } from './options.ts';
import { runSwarm } from './run.ts';

/** Runs that once broke something, each with what was wrong. */
const REGRESSIONS = [
  ['a retained wish was acted upon, and outlived the roll-back of its generation', 47],
  ['generations were counted on over the restore of a backup', 13],
] as const;

test.each(REGRESSIONS)('swarm: %s (seed %i) → all invariants hold', async (_what, seed) => {
  const result = await runSwarm(swarmOptions({ seed, devices: 4, days: 4, campaignEveryDays: 2 }));
  expect({ broken: result.broken, missed: result.missed }).toEqual({
    broken: [],
    missed: null,
  });
  // What such a fleet sends is some thousand happenings: more is a device that asks again at once.
  expect(result.events).toBeLessThan(40_000);
});
