import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../program.testkit.ts';

const run = (...args: string[]) => runProgram('powercut', ...args);

test('powercut: the naive example → 1, with the cuts that lose the keys', async () => {
  const { code, out } = await run('--store', join(import.meta.dirname, 'examples/naive-store.mjs'));
  expect(code).toBe(1);
  expect(out).toContain('BROKEN');
  expect(out).toMatch(/1\. The power goes before operation \d+ after boot 1/);
  expect(out).toMatch(/both slots are lost|bricked/);
});

test('powercut: a file that is no store → 2, said what was expected', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-powercut-'));
  const file = join(folder, 'other.mjs');
  writeFileSync(file, 'export default { name: "x" };');
  const refusedOne = await run('--store', file);
  expect(refusedOne.code).toBe(2);
  expect(refusedOne.err).toContain('expected a default export');
  const missing = await run('--store', join(folder, 'missing.mjs'));
  expect(missing.code).toBe(2);
  expect(missing.err).toContain('cannot be loaded');
  await rm(folder, { recursive: true, force: true });
});
