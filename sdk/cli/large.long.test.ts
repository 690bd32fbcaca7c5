import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { measuredChild } from '../../test/support/measured-child.ts';
import { prepareAccount, startServerChild } from '../../test/support/server-child.ts';
import { temporaryFolder } from '../../test/support/test-server.ts';
import { buildSdk } from '../build.ts';

const FILE_BYTES = 5_368_709_120;
const RSS_BYTES_MAX = 67_108_864;

let folder: { path: string; remove(): Promise<void> };

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(() => folder.remove());

test('large: 5 GiB by fuselink send and receive → the same digest, both within 64 MiB; one byte more → refused before a byte', async () => {
  const { bavail, bsize } = await statfs(folder.path);
  expect(bavail * bsize).toBeGreaterThan(3 * FILE_BYTES);
  await buildSdk(join(folder.path, 'dist'));
  const program = join(folder.path, 'dist/sdk/cli/fuselink.mjs');
  const data = join(folder.path, 'data');
  const { accountKey } = await prepareAccount(data);
  const server = await startServerChild(data);
  const env = { FUSELINK_URL: server.url, FUSELINK_KEY: accountKey, FUSELINK_STATE: join(folder.path, 'state') };
  try {
    const path = join(folder.path, 'five.bin');
    const handle = await open(path, 'w');
    await handle.write(Buffer.from('first'), 0, 5, 0);
    await handle.write(Buffer.from('last'), 0, 4, FILE_BYTES - 4);
    await handle.close();
    const startedMs = performance.now();
    const sent = await measuredChild(program, ['send', path, '--json'], env);
    const seconds = (performance.now() - startedMs) / 1000;
    expect([sent.code, sent.err]).toEqual([0, '']);
    const { url, sha256 } = JSON.parse(sent.out) as { url: string; sha256: string };
    await rm(path);
    const got = await measuredChild(program, ['receive', url, '-o', join(folder.path, 'back.bin'), '--json'], env);
    expect([got.code, got.err]).toEqual([0, '']);
    expect(JSON.parse(got.out)).toMatchObject({ size: FILE_BYTES, sha256 });
    expect((await stat(join(folder.path, 'back.bin'))).size).toBe(FILE_BYTES);
    const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
    console.log(
      `send ${seconds.toFixed(1)} s, RSS ${megabytes(sent.rssBytesMax)}; receive RSS ${megabytes(got.rssBytesMax)}`,
    );
    expect(sent.rssBytesMax).toBeLessThanOrEqual(RSS_BYTES_MAX);
    expect(got.rssBytesMax).toBeLessThanOrEqual(RSS_BYTES_MAX);

    const large = await open(join(folder.path, 'more.bin'), 'w');
    await large.truncate(FILE_BYTES + 1);
    await large.close();
    const refused = await measuredChild(program, ['send', join(folder.path, 'more.bin'), '--json'], env);
    expect(refused.code).toBe(3);
    expect(JSON.parse(refused.out)).toMatchObject({ error: { code: 'payload_too_large' } });
  } finally {
    await server.stop();
  }
});
