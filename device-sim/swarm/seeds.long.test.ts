import { expect, test } from 'vitest';
import { scenarioNamed } from '../scenarios/index.ts';
import { CANARIES, CANARY_NAMES } from './canaries.ts';
import { runMany, runTwins } from './many.ts';
import { swarmOptions } from './options.ts';
import { PRESETS } from './presets.ts';
import { runSwarm } from './run.ts';

/** A planted bug must be found by one of so many seeds. */
const CANARY_SEEDS_MAX = 8;

test('swarm: the seeds of the preset ci → all invariants hold in each', async () => {
  const { seeds, options, twinEvery } = PRESETS['ci'] ?? { seeds: 0, options: {}, twinEvery: 0 };
  const all = Array.from({ length: seeds }, (_, at) => swarmOptions({ ...options, seed: 1 + at }));
  const batch = await runMany(all, { twinEvery });
  expect(batch.failed.map(({ replay, broken, missed }) => ({ replay, broken, missed }))).toEqual([]);
  expect(batch.twins).toBe(Math.ceil(seeds / twinEvery));
  expect(Object.keys(batch.faults).length).toBeGreaterThan(20);
});

test.each(CANARY_NAMES)(`swarm: the planted bug %s → found within ${CANARY_SEEDS_MAX} seeds`, async (canary) => {
  const found: string[] = [];
  for (let seed = 1; seed <= CANARY_SEEDS_MAX && found.length === 0; seed++) {
    const options = swarmOptions({ seed, devices: 5, days: 6, campaignEveryDays: 3, canary });
    const twin = canary === 'wall-clock-decides';
    const { broken } = twin ? await runTwins(options) : await runSwarm(options, { stopWhenBroken: true });
    found.push(...broken.map(({ invariant }) => invariant));
  }
  expect(found, `${CANARIES[canary].what} should break ${CANARIES[canary].breaks}`).not.toEqual([]);
});

test('scenario ten-weeks-offline: three campaigns pass meanwhile → whoever comes back catches up', async () => {
  const { name, options } = scenarioNamed('ten-weeks-offline');
  const result = await runSwarm(swarmOptions({ seed: 5, devices: 8, scenario: name }, options));
  expect({ broken: result.broken, missed: result.missed }).toEqual({ broken: [], missed: null });
});
