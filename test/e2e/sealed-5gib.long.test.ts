import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildSdk } from '../../sdk/build.ts';
import { type Measured, measuredChild } from '../support/measured-child.ts';
import { prepareAccount, startServerChild } from '../support/server-child.ts';
import { temporaryFolder } from '../support/test-server.ts';

/** What fits 5 GiB once it is sealed: 16 bytes for each 64 KiB, a header and a manifest. */
const CONTENT_BYTES = 5_368_709_120 - 2_097_152;
/** Of which Node takes 43 MB before a line of ours has run. */
const RSS_BYTES_MAX = 67_108_864;

let folder: { path: string; remove(): Promise<void> };
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

test('5 GiB sealed, sent, received, opened by the built program → every byte, and memory stays flat both ways', async () => {
  const { bavail, bsize } = await statfs(folder.path);
  expect(bavail * bsize).toBeGreaterThan(3 * CONTENT_BYTES);
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
    await handle.write(Buffer.from('last'), 0, 4, CONTENT_BYTES - 4);
    await handle.close();
    const key = JSON.parse((await measuredChild(program, ['keygen', join(folder.path, 'ops.key'), '--json'], env)).out);
    const sent = await measuredChild(program, ['send', path, '--to', key.public_key, '--json'], env);
    expect([sent.code, sent.err]).toEqual([0, '']);
    const { url, sealed } = JSON.parse(sent.out) as { url: string; sealed: boolean };
    expect(sealed).toBe(true);
    await rm(path);
    const back = join(folder.path, 'back.bin');
    const got = await measuredChild(
      program,
      ['receive', url, '-i', join(folder.path, 'ops.key'), '-o', back, '--json'],
      env,
    );
    expect([got.code, got.err]).toEqual([0, '']);
    expect(JSON.parse(got.out)).toMatchObject({ filename: 'five.bin', size: CONTENT_BYTES, opened: true });
    expect((await stat(back)).size).toBe(CONTENT_BYTES);
    const opened = await open(back, 'r');
    const [start, end] = [Buffer.alloc(5), Buffer.alloc(4)];
    await opened.read(start, 0, 5, 0);
    await opened.read(end, 0, 4, CONTENT_BYTES - 4);
    await opened.close();
    expect([start.toString(), end.toString()]).toEqual(['first', 'last']);
    const told = ({ rssBytesMax, seconds }: Measured) =>
      `${seconds.toFixed(0)} s (${Math.round(CONTENT_BYTES / 1e6 / seconds)} MB/s), RSS ${(rssBytesMax / 1e6).toFixed(1)} MB`;
    console.info(`sealed 5 GiB: send ${told(sent)}; receive ${told(got)}`);
    expect(sent.rssBytesMax).toBeLessThanOrEqual(RSS_BYTES_MAX);
    expect(got.rssBytesMax).toBeLessThanOrEqual(RSS_BYTES_MAX);
  } finally {
    await server.stop();
  }
});
