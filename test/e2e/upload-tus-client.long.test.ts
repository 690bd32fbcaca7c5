import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startFlakyProxy } from '../support/flaky-proxy.ts';
import { seededChance } from '../support/seeded-bytes.ts';
import { prepareAccount, startServerChild } from '../support/server-child.ts';
import { digestOfFile, digestOfLink, writeSparseFile } from '../support/sparse-file.ts';
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
  await writeSparseFile(path, SIZE);
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
    expect(await digestOfLink(`${server.url}${link}`)).toEqual({ sha256: await digestOfFile(path), size: SIZE });
    expect(await server.peakRssBytes()).toBeLessThan(150 * MIB);
  } finally {
    await proxy.close();
    await server.kill();
    await folder.remove();
  }
});
