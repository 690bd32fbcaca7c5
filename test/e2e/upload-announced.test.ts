import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allTransfers } from '../support/stored-bytes.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { tusClient } from '../support/tus.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const reprDigest = (bytes: Uint8Array) =>
  `Repr-Digest: sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;

test.each([
  ['in the row', 1000],
  ['in the blob store', 200_000],
])(
  'tus, %s: the whole is not what Repr-Digest announced → refused before it counts, nothing is left, it can begin anew',
  async (_where, size) => {
    const tus = tusClient(server, (await server.device()).key);
    const meant = Buffer.alloc(size, 'a');
    const fields = [`Upload-Length: ${size}`, reprDigest(meant), `Idempotency-Key: announced-${size}-0123456789`];
    const before = await allTransfers(server.deps);
    const path = await tus.create(fields);
    expect((await tus.patch(path, 0, meant.subarray(0, 700))).status).toBe(204);
    const refused = await tus.patch(path, 700, Buffer.alloc(size - 700, 'b'));
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.text())).toMatchObject({ code: 'digest_mismatch' });
    expect((await tus.head(path)).status).toBe(404);
    expect(await allTransfers(server.deps)).toEqual(before);

    const again = await tus.create(fields);
    const stored = await tus.patch(again, 0, meant);
    expect([stored.status, typeof stored.headers['fuselink-url']]).toEqual([204, 'string']);
    // Whoever never heard of the end, and asks when the file has been burned, is told which transfer it was.
    await tus.request('DELETE', again);
    const late = await tus.request('POST', '/v1/uploads', fields, '');
    expect([late.status, late.headers['fuselink-id']]).toEqual([410, stored.headers['fuselink-id']]);
  },
);
