import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFlakyProxy } from '../support/flaky-proxy.ts';
import { readLink, sha256Hex } from '../support/read-back.ts';
import { seededBytes, seededChance } from '../support/seeded-bytes.ts';
import { expectNothingHalfDone } from '../support/stored-bytes.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { tusClient } from '../support/tus.ts';
import { tusJsUpload } from '../support/tus-js-upload.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const MIB = 1_048_576;
const plans = [
  ['one long PATCH', undefined],
  ['PATCHes of 5 MiB', 5 * MIB],
] as const;

it.each(plans)(
  'tus-js-client, %s, 64 MiB through a proxy that cuts every connection → whole',
  async (_name, chunkBytes) => {
    const { key } = await server.device();
    const content = Buffer.concat(Array.from({ length: 16 }, (_, i) => seededBytes(4 * MIB, i + 1)));
    const chance = seededChance(chunkBytes ?? 1);
    const proxy = await startFlakyProxy(server.port, (n) =>
      // Some lose the request on its way, some only the answer.
      n % 5 === 4 ? { cutAfterDownBytes: 1 + chance.next(400) } : { cutAfterUpBytes: 2_000 + chance.next(6 * MIB) },
    );
    try {
      const { location, retries } = await tusJsUpload(content, {
        endpoint: `${proxy.url}/v1/uploads`,
        key,
        size: content.length,
        ...(chunkBytes === undefined ? {} : { chunkBytes }),
      });
      expect(proxy.cuts).toBeGreaterThan(8);
      expect(retries).toBeGreaterThan(8);
      const head = await tusClient(server, key).head(new URL(location).pathname);
      const read = await readLink(server, head.headers['fuselink-url'] ?? '');
      expect(sha256Hex(read.bytes)).toBe(sha256Hex(content));
    } finally {
      await proxy.close();
    }
    // The creation itself may be cut: what it began and nobody knows of is left to expire.
    const rows = await server.deps.store.list('transfers', { where: [['state', '=', 'uploading']], limit: 100 });
    for (const row of rows) {
      expect([row.kind, row.offset]).toEqual(['resumable', 0]);
      await server.deps.store.commit([{ kind: 'delete', table: 'transfers', key: row.id }]);
    }
    const { rows: left } = await server.deps.store.count('transfers', { where: [] });
    await expectNothingHalfDone(server.deps, left);
  },
);
