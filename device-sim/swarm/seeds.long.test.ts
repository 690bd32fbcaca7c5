import { afterAll, beforeAll, expect, test } from 'vitest';
import { INVARIANT_NAMES } from '../oracle/invariants.ts';
import { scenarioNamed } from '../scenarios/index.ts';
import { CANARIES, CANARY_NAMES } from './canaries.ts';
import { runMany } from './many.ts';
import { swarmOptions } from './options.ts';
import { PRESETS } from './presets.ts';
import { type Processes, startProcesses } from './processes.ts';

/** A planted bug must be found by one of so many seeds. */
const CANARY_SEEDS_MAX = 8;
/** What CI has. */
const CORES = 2;

let runners: Processes;

beforeAll(async () => {
  runners = await startProcesses(CORES);
});
afterAll(() => runners.close());

test('swarm: the seeds of the preset ci → all invariants hold in each', async () => {
  const { seeds, options, twinEvery } = PRESETS['ci'] ?? { seeds: 0, options: {}, twinEvery: 0 };
  const all = Array.from({ length: seeds }, (_, at) => swarmOptions({ ...options, seed: 1 + at }));
  const batch = await runMany(all, { twinEvery, runners });
  expect(batch.failed.map(({ replay, broken, missed }) => ({ replay, broken, missed }))).toEqual([]);
  expect(batch.twins).toBe(Math.ceil(seeds / twinEvery));
  expect(Object.keys(batch.faults).length).toBeGreaterThan(20);
});

test('swarm: runs in other processes → the same traces as here, in the order of their seeds', async () => {
  const all = [4, 3, 2].map((seed) => swarmOptions({ seed, devices: 1, days: 1 }));
  const [here, there] = [await runMany(all), await runMany(all, { runners })];
  expect(there).toEqual(here);
});

test('canaries: the planted bugs → at least one for each invariant', () => {
  const broken = new Set<string>(CANARY_NAMES.map((name) => CANARIES[name].breaks));
  expect([...broken].sort()).toEqual([...INVARIANT_NAMES].sort());
});

// The longest first: the planted bugs are looked for beside it.
test.concurrent.each([
  ['ninety-day-campaign', 400, 'a wave after the other, for a season → every key is another one'],
  ['ten-weeks-offline', 8, 'three campaigns pass meanwhile → whoever comes back catches up'],
])('scenario %s: %i devices, %s', async (name, devices) => {
  const options = swarmOptions({ seed: 5, devices, scenario: name }, scenarioNamed(name).options);
  const result = await runners.run({ options });
  expect({ broken: result.broken, missed: result.missed }).toEqual({ broken: [], missed: null });
});

test.concurrent.each(CANARY_NAMES)(
  `swarm: the planted bug %s → found within ${CANARY_SEEDS_MAX} seeds`,
  async (canary) => {
    const { breaks, what } = CANARIES[canary];
    const found = new Set<string>();
    for (let seed = 1; seed <= CANARY_SEEDS_MAX && !found.has(breaks); seed++) {
      const options = swarmOptions({ seed, devices: 5, days: 6, campaignEveryDays: 3, canary });
      const twin = canary === 'wall-clock-decides';
      const { broken } = await runners.run({ options, twin, stopWhenBroken: breaks });
      for (const { invariant } of broken) found.add(invariant);
    }
    expect([...found], `${what} should break ${breaks}`).toContain(breaks);
  },
);
