import { expect, test } from 'vitest';
import { runProgram } from '../program.testkit.ts';

test('powercut: the product’s own stores and spool under every cut → 0, millions of schedules', async () => {
  const { code, out } = await runProgram('powercut', '--json');
  const report = JSON.parse(out) as { trials: { schedules: number; failures: unknown[] }[] };
  expect(code).toBe(0);
  expect(report.trials.map(({ failures }) => failures)).toEqual(report.trials.map(() => []));
  expect(report.trials.reduce((sum, { schedules }) => sum + schedules, 0)).toBeGreaterThan(1_000_000);
});
