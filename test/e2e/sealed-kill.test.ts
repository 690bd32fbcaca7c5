import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildSdk } from '../../sdk/build.ts';
import { type FlakyProxy, startFlakyProxy } from '../support/flaky-proxy.ts';
import { run } from '../support/run.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { startTestServer, type TestServer, temporaryFolder } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
let folder: { path: string; remove(): Promise<void> };
let program: string;

beforeAll(async () => {
  server = await startTestServer();
  folder = await temporaryFolder();
  await buildSdk(join(folder.path, 'dist'));
  program = join(folder.path, 'dist/sdk/cli/fuselink.mjs');
});

afterAll(async () => {
  await server.close();
  await folder.remove();
});

function env(url: string): Record<string, string> {
  return { FUSELINK_URL: url, FUSELINK_KEY: server.accountKey, FUSELINK_STATE: join(folder.path, 'state') };
}

/** A line that falls silent half way, and the program on it, killed once it has. */
async function killedHalfWay(
  args: string[],
  proxy: FlakyProxy,
  begun: () => Promise<boolean> = async () => true,
): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, [program, ...args], {
    env: { ...process.env, ...env(proxy.url) },
    stdio: 'ignore',
  });
  const gone = once(child, 'exit');
  await until('a line that fell silent', () => proxy.cuts > 0);
  await until('what had come to be on its way to the disk', begun);
  child.kill('SIGKILL');
  expect((await gone)[1]).toBe('SIGKILL');
}

test('a sealed send killed half way → the same command sends it afresh under another key; the first half is never a transfer', async () => {
  const content = seededBytes(6_000_000, 1);
  const path = join(folder.path, 'log.bin');
  await writeFile(path, content);
  const proxy = await startFlakyProxy(server.port, (n) =>
    n === 0 ? { cutAfterUpBytes: 3_000_000, how: 'silence' } : {},
  );
  await killedHalfWay(['send', path, '--seal'], proxy);
  const sent = await run(process.execPath, [program, 'send', path, '--seal', '--json'], { env: env(proxy.url) });
  expect([sent.code, sent.stderr]).toEqual([0, '']);
  const rows = await server.deps.store.list('transfers', { where: [], orderBy: [['id', 'asc']], limit: 10 });
  expect(rows.map(({ state }) => state).sort()).toEqual(['ready', 'uploading']);
  expect(rows.every((row) => row.end_to_end || row.offset === 0)).toBe(true);
  const out = join(folder.path, 'back.bin');
  const got = await run(process.execPath, [program, 'receive', JSON.parse(sent.stdout).url, '-o', out], {
    env: env(proxy.url),
  });
  expect(got.code).toBe(0);
  expect(Buffer.compare(await readFile(out), content)).toBe(0);
  await proxy.close();
});

test('a sealed read killed half way → nothing under the name; the same command opens all of it, and nothing is left beside', async () => {
  const content = seededBytes(6_000_000, 2);
  const path = join(folder.path, 'read.bin');
  await writeFile(path, content);
  const sent = await run(process.execPath, [program, 'send', path, '--seal'], { env: env(server.url) });
  const proxy = await startFlakyProxy(server.port, (n) =>
    n === 0 ? { cutAfterDownBytes: 3_000_000, how: 'silence' } : {},
  );
  const url = sent.stdout.trim().replace(server.url, proxy.url);
  const out = join(folder.path, 'out');
  await mkdir(out);
  const part = join(out, 'sealed.bin.part');
  const hasBytes = () =>
    stat(part).then(
      ({ size }) => size > 0,
      () => false,
    );
  await killedHalfWay(['receive', url, '-o', out], proxy, hasBytes);
  expect(await readdir(out)).toEqual(['sealed.bin.part']);
  const half = await readFile(part);
  expect(half.length).toBeGreaterThan(0);
  expect(half.equals(content.subarray(0, half.length))).toBe(true);
  const again = await run(process.execPath, [program, 'receive', url, '-o', out], { env: env(proxy.url) });
  expect([again.code, await readdir(out)]).toEqual([0, ['read.bin']]);
  expect(Buffer.compare(await readFile(join(out, 'read.bin')), content)).toBe(0);
  await proxy.close();
});
