import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { swarmOptions } from './options.ts';
import { startProcesses } from './processes.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-runners-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A program in place of the simulator, which treats each order so. */
async function programThat(does: string): Promise<string> {
  const file = join(folder, `${does.length}.mjs`);
  await writeFile(file, `process.on('message', (order) => { ${does} });`);
  return file;
}

const order = (seed: number) => ({ options: swarmOptions({ seed, devices: 1, days: 1 }) });

test('processes: more runs than processes → each is done, one at a time in each', async () => {
  const echo = await programThat('process.send({ result: { seed: order.options.seed, pid: process.pid } });');
  const runners = await startProcesses(2, echo);
  const answers = await Promise.all([1, 2, 3, 4, 5].map((seed) => runners.run(order(seed)))).finally(() =>
    runners.close(),
  );
  expect(answers.map((answer) => (answer as unknown as { seed: number }).seed)).toEqual([1, 2, 3, 4, 5]);
  expect(new Set(answers.map((answer) => (answer as unknown as { pid: number }).pid)).size).toBe(2);
});

test.each([
  ['ends in the middle', 'process.exit(3);', 'the process that ran seed 7 ended with code 3'],
  ['finds a bug of the simulator', "process.send({ error: 'Error: a trap was touched' });", 'a trap was touched'],
])('processes: one that %s → the run fails, and says why', async (_what, does, why) => {
  const runners = await startProcesses(1, await programThat(does));
  await expect(runners.run(order(7)).finally(() => runners.close())).rejects.toThrow(why);
});
