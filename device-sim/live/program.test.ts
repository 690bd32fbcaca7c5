import { existsSync, readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { snippet } from '../../test/docs/snippets.ts';
import { run } from '../../test/support/run.ts';
import { temporaryFolder } from '../../test/support/test-server.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import { LIVE_CHECK_NAMES } from './checks.ts';
import { PACED } from './options.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUILT = join(ROOT, 'dist/sim/fuselink-sim.mjs');
const NOBODY = 'http://127.0.0.1:9';

let folder: { path: string; remove(): Promise<void> };
beforeAll(async () => {
  folder = await temporaryFolder();
  if (!existsSync(BUILT)) await run('npm', ['run', '-s', 'build'], { cwd: ROOT });
  // Somewhere without any package: the file is all there is.
  await copyFile(BUILT, join(folder.path, 'fuselink-sim.mjs'));
});
afterAll(() => folder.remove());

test('the built program: alone in a folder → its help, and a run of swarm', async () => {
  const help = await run(process.execPath, ['fuselink-sim.mjs', '--help'], { cwd: folder.path });
  expect([help.code, help.stderr]).toEqual([0, '']);
  for (const verb of ['model', 'powercut', 'swarm', 'live']) expect(help.stdout).toContain(`  ${verb} `);
  const words = ['fuselink-sim.mjs', 'swarm', '--seed', '3', '--devices', '1', '--days', '1', '--json'];
  const swarm = await run(process.execPath, words, { cwd: folder.path });
  expect([swarm.code, swarm.stderr]).toEqual([0, '']);
  expect(JSON.parse(swarm.stdout)).toMatchObject({ ok: true, devices: 1 });
});

test('the built program: copied under another name → runs all the same, and does not pass for one that held', async () => {
  await copyFile(BUILT, join(folder.path, 'fleet-check.mjs'));
  expect((await run(process.execPath, ['fleet-check.mjs', 'swarm', '--seed', 'x'], { cwd: folder.path })).code).toBe(2);
});

test('LIVE.md: the shell of its CI section → is understood as written, and says that nobody listens', async () => {
  const script = snippet('device-sim/LIVE.md', 'live-shell')
    .replace('https://relay.example.com', NOBODY)
    .replace('/run/secrets/fuselink-key', join(ROOT, 'package.json'));
  expect(script).toContain(NOBODY);
  const { code, stderr } = await run('sh', ['-c', script.replace(/_FILE=\S+/, '=0123abcd')], { cwd: folder.path });
  expect(stderr).toContain('the server does not answer');
  expect(code).toBe(3);
});

interface Workflow {
  on: unknown;
  jobs: Record<string, { 'runs-on': string; env: Record<string, string>; steps: Record<string, unknown>[] }>;
}

test('LIVE.md: the workflow of its CI section → YAML whose commands are understood, with no secret in a command', async () => {
  const { jobs } = parse(snippet('device-sim/LIVE.md', 'live-actions')) as Workflow;
  const job = jobs['fleet'];
  const commands = job?.steps.flatMap(({ run: command }) => (typeof command === 'string' ? [command] : [])) ?? [];
  expect(commands).toHaveLength(2);
  expect(Object.keys(job?.env ?? {}).sort()).toEqual(['FUSELINK_MANAGEMENT_KEY', 'FUSELINK_URL']);
  for (const command of commands) {
    expect(command).not.toContain('secrets.');
    const words = command.replace('tools/', '');
    const env = { FUSELINK_URL: NOBODY, FUSELINK_MANAGEMENT_KEY: '0123abcd' };
    const { code, stderr } = await run('sh', ['-c', words], { cwd: folder.path, env });
    expect([code, stderr]).toEqual([3, expect.stringContaining('the server does not answer')]);
  }
});

test('LIVE.md: its tables → have every check, and every scenario whose pace is known', () => {
  const page = readFileSync(join(ROOT, 'device-sim/LIVE.md'), 'utf8');
  for (const name of [...LIVE_CHECK_NAMES, ...PACED]) expect(page).toContain(`| \`${name}\` |`);
  for (const name of PACED) expect(SCENARIOS.map((one) => one.name)).toContain(name);
});
