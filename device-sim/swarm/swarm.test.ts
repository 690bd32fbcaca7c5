import { expect, test } from 'vitest';
import { SCENARIOS } from '../scenarios/index.ts';
import { FAULT_NAMES } from './faults.ts';
import { runMany } from './many.ts';
import { swarmOptions } from './options.ts';
import { PRESETS } from './presets.ts';
import { runSwarm } from './run.ts';
import { storyOf } from './story.ts';

const small = { devices: 3, days: 3, campaignEveryDays: 2 };

test('swarm: no faults, one device → a campaign to its end, every reading delivered', async () => {
  const result = await runSwarm(swarmOptions({ seed: 1, devices: 1, days: 3, faults: [] }));
  expect(result.broken).toEqual([]);
  expect(result).toMatchObject({ ok: true, campaigns: 1, faults: {} });
  expect(result.readings.delivered).toBe(result.readings.kept);
  expect(result.readings.kept).toBeGreaterThan(30);
  for (const name of ['I1', 'I3', 'I8', 'I9', 'I11', 'I12', 'I14'] as const) {
    expect(result.checks[name], name).toBeGreaterThan(0);
  }
});

test('swarm: the same seed twice → the same trace, on any machine', async () => {
  // What is pinned changes with what devices say and hear, and with nothing else: then pin it anew.
  const faults = FAULT_NAMES.filter((name) => /^(net|device)-/.test(name));
  const pinned = await runSwarm(swarmOptions({ seed: 42, devices: 2, days: 2, faults }));
  expect(pinned.traceHash).toBe('5080249f11a5a00a15c134b8d88e6ff9');
  const [first, again] = [
    await runSwarm(swarmOptions({ seed: 42, ...small })),
    await runSwarm(swarmOptions({ seed: 42, ...small })),
  ];
  expect(again.traceHash).toBe(first.traceHash);
  expect(again.events).toBe(first.events);
  const other = await runSwarm(swarmOptions({ seed: 43, ...small }));
  expect(other.traceHash).not.toBe(first.traceHash);
});

test('swarm: node:crypto instead of the stand-in → the same trace', async () => {
  const options = swarmOptions({ seed: 8, ...small });
  const [stand, real] = [await runSwarm(options), await runSwarm({ ...options, realCrypto: true })];
  expect(real.traceHash).toBe(stand.traceHash);
});

test('swarm: a few seeds with everything that can go wrong → all invariants hold', async () => {
  const { seeds, options, twinEvery } = PRESETS['smoke'] ?? { seeds: 0, options: {}, twinEvery: 0 };
  const all = Array.from({ length: seeds }, (_, at) => swarmOptions({ ...options, seed: 100 + at }));
  const batch = await runMany(all, { twinEvery });
  expect(batch.failed.map(({ replay, broken, missed }) => ({ replay, broken, missed }))).toEqual([]);
  expect(batch.twins).toBeGreaterThan(0);
  expect(Object.keys(batch.faults).length).toBeGreaterThan(15);
});

test.each(SCENARIOS.filter(({ options }) => (options.days ?? 0) < 30).map((one) => [one.name, one] as const))(
  'scenario %s: a small fleet → as the operator expects, all invariants hold',
  async (name, { options }) => {
    const result = await runSwarm(swarmOptions({ seed: 5, devices: 4, scenario: name }, options));
    expect({ broken: result.broken, missed: result.missed }).toEqual({ broken: [], missed: null });
  },
);

test('swarm: a planted bug → found, with a replay line and a story of at most ten lines', async () => {
  const options = swarmOptions({ seed: 1, ...small, canary: 'use-before-durable', keepTrace: true });
  const result = await runSwarm(options, { stopWhenBroken: 'any' });
  expect(result.ok).toBe(false);
  expect(result.broken[0]).toMatchObject({ invariant: 'I3' });
  expect(result.replay).toMatch(/^npm run -s sim -- swarm --seed 1 --devices 3 --days 3 .*--canary use-before-durable/);
  const story = storyOf(result.entries, result.broken[0]!);
  expect(story.length).toBeLessThanOrEqual(10);
  expect(story.at(-1)).toContain('I3 is broken');
});
