import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startFlakyProxy } from '../support/flaky-proxy.ts';
import { seededBytes, seededChance } from '../support/seeded-bytes.ts';
import { prepareAccount, startServerChild } from '../support/server-child.ts';
import { temporaryFolder } from '../support/test-server.ts';
import { tusClient } from '../support/tus.ts';
import { tusJsUpload } from '../support/tus-js-upload.ts';

const MIB = 1_048_576;
const SIZE = 1024 * MIB;

it('tus-js-client, unmodified, 1 GiB through a proxy that keeps dropping connections → whole', async () => {
  const folder = await temporaryFolder();
  const data = `${folder.path}/data`;
  const { accountKey } = await prepareAccount(data);
  const path = join(folder.path, 'file.bin');
  const file = await open(path, 'w');
  for (let i = 0; i < 64; i++) await file.write(seededBytes(MIB, i), 0, MIB, i * 16 * MIB);
  await file.truncate(SIZE);
  await file.close();
  const server = await startServerChild(data);
  const chance = seededChance(7);
  const proxy = await startFlakyProxy(server.port, () => ({ cutAfterUpBytes: MIB + chance.next(40 * MIB) }));
  try {
    const { location } = await tusJsUpload(createReadStream(path), {
      endpoint: `${proxy.url}/v1/uploads`,
      key: accountKey,
      size: SIZE,
      chunkBytes: 64 * MIB,
    });
    expect(proxy.cuts).toBeGreaterThan(20);
    const head = await tusClient(server, accountKey).head(new URL(location).pathname);
    const link = new URL(head.headers['fuselink-url'] ?? '').pathname;
    expect(await digestOf(`${server.url}${link}`)).toBe(await digestOfFile(path));
    expect(await server.peakRssBytes()).toBeLessThan(150_000_000);
  } finally {
    await proxy.close();
    await server.kill();
    await folder.remove();
  }
});

async function digestOf(url: string): Promise<string> {
  const hash = createHash('sha256');
  const response = await fetch(url, { headers: { 'user-agent': 'curl/8.0' } });
  for await (const chunk of response.body ?? []) hash.update(chunk);
  return hash.digest('hex');
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: MIB })) hash.update(chunk);
  return hash.digest('hex');
}
