import { expect, test } from 'vitest';
import { crashEverywhere, SCENARIOS } from './crash.ts';

test.each(SCENARIOS.slice(1).map((scenario) => [scenario.name, scenario] as const))(
  'sqlite, %s: the server dies before, and behind, every single commit → one key that works for every device',
  async (_name, scenario) => {
    expect(await crashEverywhere('sqlite', scenario)).toBeGreaterThan(10);
  },
  300_000,
);
