import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSettings, wire } from '#server';
import { buildSdk } from '../../sdk/build.ts';
import { operatorFor } from '../../server/cli/operator.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { type RunResult, run } from '../support/run.ts';
import { prepareAccount, type ServerChild, startServerChild } from '../support/server-child.ts';
import { temporaryFolder, testEnv } from '../support/test-server.ts';
import { snippet } from './snippets.ts';

const ROOT = join(import.meta.dirname, '../..');
const CONTENT = 'minute,celsius\n0,61.2\n';

describe('sdk/README, sealed end to end', () => {
  let folder: { path: string; remove(): Promise<void> };
  let server: ServerChild;
  let env: Record<string, string>;
  let work: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const data = join(folder.path, 'data');
    await prepareAccount(data);
    const wired = await wire(readSettings(testEnv(data)), () => {});
    const { key } = await enrolDevice(wired.deps, await operatorFor(wired.deps, undefined), { name: 'pump-7' });
    await wired.close();
    server = await startServerChild(data);
    work = join(folder.path, 'work');
    await mkdir(work);
    await buildSdk(join(folder.path, 'dist'));
    await symlink(join(folder.path, 'dist'), join(work, 'dist'));
    await writeFile(join(work, 'log.csv'), CONTENT);
    const programs = join(folder.path, 'bin');
    await mkdir(programs);
    const tsx = join(ROOT, 'node_modules/tsx/dist/cli.mjs');
    for (const [name, command] of [
      ['fuselink', `"${process.execPath}" "${join(folder.path, 'dist/sdk/cli/fuselink.mjs')}"`],
      ['fuselink-server', `"${process.execPath}" "${tsx}" "${join(ROOT, 'server/main.ts')}"`],
    ] as const) {
      await writeFile(join(programs, name), `#!/bin/sh\nexec ${command} "$@"\n`);
      await chmod(join(programs, name), 0o755);
    }
    env = {
      ...testEnv(data),
      PATH: `${programs}:${process.env['PATH']}`,
      FUSELINK_URL: server.url,
      FUSELINK_KEY: key,
      FUSELINK_STATE: join(folder.path, 'state'),
    };
  });
  afterAll(async () => {
    await server.stop();
    await folder.remove();
  });

  const shell = (name: string): Promise<RunResult> =>
    run('bash', ['-ec', snippet('sdk/README.md', name)], { cwd: work, env });
  const opened = () => readFile(join(work, 'incoming.csv'), 'utf8');

  // In the order of the document: what one makes the next one uses.
  test('to recipients, to the link, signed, in a program: run as written → each gives the file', async () => {
    for (const name of ['seal-recipients', 'seal-link', 'seal-signed']) {
      const { code, stderr } = await shell(name);
      expect([name, code, stderr.includes('error')]).toEqual([name, 0, false]);
      expect(await opened()).toBe(CONTENT);
      await run('rm', [join(work, 'incoming.csv')]);
    }
    const program = snippet('sdk/README.md', 'seal-program').replace('https://relay.example.com', server.url);
    await writeFile(join(work, 'program.mjs'), program);
    const { stdout, stderr } = await run(process.execPath, ['program.mjs'], { cwd: work, env });
    expect([stdout, stderr]).toEqual(['log.csv true null\n', '']);
    expect(await readFile(join(work, 'opened.csv'), 'utf8')).toBe(CONTENT);
  });
});
