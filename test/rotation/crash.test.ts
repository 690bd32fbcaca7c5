import { describe, expect, test } from 'vitest';
import { crashEverywhere, SCENARIOS } from './crash.ts';

const named = SCENARIOS.map((scenario) => [scenario.name, scenario] as const);

describe('the server dies before, and behind, every single commit', () => {
  test.each(named)(
    'memory, %s: → one key that works, one audit entry an arrow, no alarm',
    async (_name, scenario) => {
      expect(await crashEverywhere('memory', scenario)).toBeGreaterThan(10);
    },
    180_000,
  );

  test.each(named.slice(0, 1))(
    'sqlite, %s: → the same',
    async (_name, scenario) => {
      expect(await crashEverywhere('sqlite', scenario)).toBeGreaterThan(10);
    },
    180_000,
  );

  test.each(named.slice(0, 2))(
    'a store that can be cut inside a batch, %s: → noticed',
    async (_name, scenario) => {
      await expect(crashEverywhere('memory', scenario, { torn: true })).rejects.toThrow(/the server died/);
    },
    180_000,
  );
});
