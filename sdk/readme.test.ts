import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../test/support/run.ts';
import { buildSdk } from './build.ts';
import { EXIT } from './cli/exit-codes.ts';
import { COMMANDS } from './cli/program.ts';
import type { FakeRelay } from './node/testing/fake-relay.ts';
import { fakeRelay } from './node/testing/fake-relay.ts';

/** What the README says is run, or compared with what the code says. */
let folder: string;
let relay: FakeRelay;
let readme: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-readme-'));
  relay = await fakeRelay();
  readme = await readFile(join(import.meta.dirname, 'README.md'), 'utf8');
});

afterAll(async () => {
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

test('readme: the program in ten lines → runs as it stands, host and paths apart', async () => {
  await buildSdk(join(folder, 'dist'));
  const found = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  await writeFile(join(folder, 'sensor.csv'), 'a,b\n1,2\n');
  const program = found
    .replace('https://relay.example.com', relay.url)
    .replace('/var/log/sensor.csv', join(folder, 'sensor.csv'))
    .replace("'/tmp/'", JSON.stringify(join(folder, 'dist/')));
  await writeFile(join(folder, 'example.mjs'), program);
  const ran = await run(process.execPath, [join(folder, 'example.mjs')], {
    env: { FUSELINK_KEY: 'good-key', FUSELINK_STATE: join(folder, 'state') },
  });
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  expect(ran.stdout).toContain('fuselink_transfers_total 2');
  expect(await readFile(join(folder, 'dist/sensor.csv'), 'utf8')).toBe('a,b\n1,2\n');
});

test('readme: exit statuses and commands → the ones there are', () => {
  for (const { code, meaning } of Object.values(EXIT)) {
    if (code === 130) expect(readme).toContain(`| 130, 143 | ${meaning} |`);
    else expect(readme).toContain(`| ${code} | ${meaning} |`);
  }
  for (const { name } of COMMANDS) expect(readme).toMatch(new RegExp(`fuselink ${name}\\b`));
  const named = [...readme.matchAll(/^(?:\S+ \| )?fuselink ([a-z]+)/gm)].map((match) => match[1]);
  expect(named.filter((name) => !COMMANDS.some((command) => command.name === name))).toEqual([]);
});
