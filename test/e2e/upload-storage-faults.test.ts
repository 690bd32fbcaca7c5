import { rename } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { mountSmallDisk, withoutRootRights } from '../../server/adapters/testing/small-disk.ts';
import { StorageFullError, StorageUnavailableError } from '../../server/ports/faults.ts';
import { sweepOnce } from '../../server/usecases/sweep.ts';
import { faultyStores } from '../support/faulty-stores.ts';
import { type RawAnswer, rawExchange } from '../support/raw-http.ts';
import { readLink } from '../support/read-back.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { allTransfers, expectNothingHalfDone, halfDone } from '../support/stored-bytes.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { tusClient } from '../support/tus.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0)) await clean();
});
async function started(env: Record<string, string> = {}): Promise<TestServer> {
  const server = await startTestServer(env);
  cleanups.unshift(() => server.close());
  return server;
}

const CHUNK = 'Content-Type: application/offset+octet-stream';

type Send = (server: TestServer, key: string, body: Buffer) => Promise<RawAnswer>;
const PATHS: [name: string, send: Send][] = [
  [
    'raw',
    (server, key, body) =>
      rawExchange(server.port, {
        head: 'POST /v1/upload HTTP/1.1',
        fields: ['Host: x', `X-API-Key: ${key}`, `Content-Length: ${body.length}`],
        body,
      }),
  ],
  [
    'form',
    (server, key, body) => {
      const form = Buffer.concat([
        Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'),
        body,
        Buffer.from('\r\n--b--\r\n'),
      ]);
      const fields = [
        'Host: x',
        `X-API-Key: ${key}`,
        'Content-Type: multipart/form-data; boundary=b',
        `Content-Length: ${form.length}`,
      ];
      return rawExchange(server.port, { head: 'POST /v1/upload HTTP/1.1', fields, body: form });
    },
  ],
  [
    'tus with creation',
    (server, key, body) =>
      tusClient(server, key).request('POST', '/v1/uploads', [`Upload-Length: ${body.length}`, CHUNK], body),
  ],
];

describe('a real disk', () => {
  it.each(PATHS)(
    '%s: full → 507 with a reason, nothing half-done; works again when there is room',
    async (_name, send) => {
      const disk = await mountSmallDisk(6 * 1024 * 1024);
      if (disk === null) return;
      cleanups.push(() => disk.unmount());
      const server = await started({ FUSELINK_BLOBS: `disk:${disk.folder}` });
      const { key } = await server.device();
      const fits = await send(server, key, seededBytes(2_000_000));
      expect(fits.status).toBe(201);
      for (let i = 0; i < 3; i++) {
        const full = await send(server, key, seededBytes(8_000_000));
        expect([full.status, full.json()]).toEqual([
          507,
          expect.objectContaining({ code: 'storage_full', detail: expect.stringMatching(/no room/i) }),
        ]);
      }
      await forgetUnfinished(server);
      await expectNothingHalfDone(server.deps, 1);
      expect((await send(server, key, seededBytes(3_000_000))).status).toBe(201);
      const small = await send(server, key, seededBytes(100));
      expect(small.status).toBe(201);
      await expectNothingHalfDone(server.deps, 3);
    },
  );

  it('the database’s disk full → small bodies 507, the server goes on; room again → 201', async () => {
    const disk = await mountSmallDisk(6 * 1024 * 1024);
    if (disk === null) return;
    cleanups.push(() => disk.unmount());
    const server = await started({
      FUSELINK_DATA: `${disk.folder}/data`,
      FUSELINK_SECRET_FILE: `${disk.folder}/secret`,
    });
    const { key } = await server.device();
    const send = (PATHS[0] as [string, Send])[1];
    const accepted: RawAnswer[] = [];
    let answer = await send(server, key, seededBytes(60_000));
    for (; answer.status === 201 && accepted.length < 200; answer = await send(server, key, seededBytes(60_000)))
      accepted.push(answer);
    expect([answer.status, answer.json()['code']]).toEqual([507, 'storage_full']);
    expect((await rawExchange(server.port, { head: 'GET /healthz HTTP/1.1', fields: ['Host: x'] })).status).toBe(200);
    await expectNothingHalfDone(server.deps, accepted.length);
    // What was accepted before still reads; a larger disk brings the uploads back.
    await disk.grow(40 * 1024 * 1024);
    expect((await readLink(server, String(accepted[0]?.json()['url']))).bytes).toHaveLength(60_000);
    expect((await send(server, key, seededBytes(60_000))).status).toBe(201);
  });

  it.each(PATHS)(
    '%s: permission lost, or the disk gone → 503 with Retry-After, nothing half-done; back → 201',
    async (_name, send) => {
      const server = await started();
      const { key } = await server.device();
      const body = seededBytes(500_000);
      const folder = `${server.dataFolder}/blobs`;
      const lost = async (answer: RawAnswer) => {
        expect([answer.status, answer.json()['code'], answer.headers['retry-after']]).toEqual([
          503,
          'storage_unavailable',
          '5',
        ]);
        expect(answer.text()).not.toContain(server.dataFolder);
        await forgetUnfinished(server);
        await expectNothingHalfDone(server.deps, 0);
      };
      if (process.getuid?.() === 0) {
        const refused = await withoutRootRights(() => send(server, key, body));
        await sweepOnce(server.deps, { atStart: false });
        await lost(refused);
      }
      await rename(folder, `${folder}-away`);
      const gone = await send(server, key, body);
      await rename(`${folder}-away`, folder);
      // What could not be deleted then is due for the next sweep.
      await sweepOnce(server.deps, { atStart: false });
      await lost(gone);
      expect((await send(server, key, body)).status).toBe(201);
    },
  );
});

describe('every operation of the stores fails once, or from then on', () => {
  const faults = [
    ['full', new StorageFullError('test'), 507],
    ['unavailable', new StorageUnavailableError('test'), 503],
    ['an unforeseen error', new Error('test'), 500],
  ] as const;
  const cases = PATHS.flatMap(([name, send]) =>
    [100, 300_000].flatMap((bytes) =>
      faults.map(([fault, error, status]) => ({ name, send, bytes, fault, error, status })),
    ),
  );

  it.each(cases)(
    '$name of $bytes bytes, $fault → $status or served, nothing half-done, then served',
    async ({ send, bytes, error, status }) => {
      const server = await started();
      const { key } = await server.device();
      const stores = faultyStores(server.deps);
      const body = seededBytes(bytes);
      expect((await send(server, key, body)).status).toBe(201);
      const operations = stores.seen.length;
      expect(operations).toBeGreaterThan(0);
      let served = 1;
      for (const lasting of [false, true]) {
        for (let at = 0; at < operations; at++) {
          stores.arm(at, error, { lasting });
          const answer = await send(server, key, body);
          expect([at, lasting, answer.status]).toEqual([at, lasting, status]);
          stores.heal();
          // What could not be cleared away while the store was down is the sweep's.
          if (lasting) await sweepOnce(server.deps, { atStart: true });
          await forgetUnfinished(server);
          await expectNothingHalfDone(server.deps, served);
        }
        expect((await send(server, key, body)).status).toBe(201);
        served++;
      }
      for (const row of await allTransfers(server.deps)) expect(row.state).toBe('ready');
    },
  );

  it('PATCH after PATCH, each with a fault somewhere → the offset is always right, and the bytes are whole', async () => {
    const server = await started();
    server.deps.settings.checkpointBytes = 100_000;
    const { key } = await server.device();
    const stores = faultyStores(server.deps);
    const tus = tusClient(server, key);
    const content = seededBytes(1_500_000, 3);
    const path = await tus.create([`Upload-Length: ${content.length}`]);
    let offset = 0;
    for (let at = 0; offset < content.length; at = (at + 1) % 12) {
      const fault = at % 2 === 0 ? new StorageFullError('test') : new StorageUnavailableError('test');
      stores.arm(at, fault, { lasting: at % 3 === 0 });
      await tus.patch(path, offset, content.subarray(offset, offset + 250_000));
      stores.heal();
      const now = await tus.offset(path);
      expect(now).toBeGreaterThanOrEqual(offset);
      offset = now;
    }
    const link = (await tus.head(path)).headers['fuselink-url'] ?? '';
    expect(Buffer.compare((await readLink(server, link)).bytes, content)).toBe(0);
    expect(await halfDone(server.deps)).toEqual([]);
  });
});

/** Resumable uploads that a fault interrupted are kept to go on from; here they are given up. */
async function forgetUnfinished(server: TestServer): Promise<void> {
  for (const row of await allTransfers(server.deps)) {
    if (row.state !== 'uploading' || row.kind !== 'resumable') continue;
    await server.deps.blobs.delete(row.id);
    await server.deps.store.commit([
      { kind: 'delete', table: 'transfers', key: row.id },
      { kind: 'delete', table: 'bodies', key: row.id },
    ]);
  }
}
