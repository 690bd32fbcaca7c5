import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TransferId } from '../../server/domain/ids.ts';
import { sweepOnce } from '../../server/usecases/sweep.ts';
import { type RawAnswer, rawExchange } from '../support/raw-http.ts';
import { readLink } from '../support/read-back.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { shiftClock } from '../support/shifted-clock.ts';
import { allTransfers, halfDone, storedFiles } from '../support/stored-bytes.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { tusClient } from '../support/tus.ts';

let server: TestServer;
let key: string;
beforeEach(async () => {
  server = await startTestServer();
  key = (await server.device()).key;
});
afterEach(() => server.close());

function send(bytes: number, ...fields: string[]): Promise<RawAnswer> {
  const body = seededBytes(bytes);
  const own = ['Host: x', `X-API-Key: ${key}`, `Content-Length: ${bytes}`];
  return rawExchange(server.port, { head: 'POST /v1/upload HTTP/1.1', fields: [...own, ...fields], body });
}
const receipt = (id: unknown) =>
  rawExchange(server.port, { head: `GET /v1/transfers/${id} HTTP/1.1`, fields: ['Host: x', `X-API-Key: ${key}`] });
const blobFiles = async () =>
  (await storedFiles(`${server.dataFolder}/blobs`)).filter(({ path }) => !path.endsWith('.probe'));
const bodies = async () => (await server.deps.store.count('bodies', { where: [] })).rows;

describe.each([
  ['small', 1_000],
  ['large', 300_000],
] as const)('expiry of a %s file', (_name, bytes) => {
  it('its time is over → refused by the clock at once, bytes gone with the sweep, the receipt remains and ends', async () => {
    const clock = shiftClock(server.deps);
    const sent = await send(
      bytes,
      'X-TTL: 60',
      'X-Receipt-TTL: 3600',
      'X-Filename: log.csv',
      'X-Recipient: a@b.example',
    );
    const { id, url, sha256 } = sent.json();
    clock.forward(59_000);
    await sweepOnce(server.deps, { atStart: false });
    expect([await bodies(), (await blobFiles()).length]).toEqual(bytes > 65_536 ? [0, 1] : [1, 0]);
    clock.forward(1_001);
    expect((await readLink(server, url)).status).toBe(410);
    const report = await sweepOnce(server.deps, { atStart: false });
    expect(report.expired).toBe(1);
    expect([await bodies(), await blobFiles()]).toEqual([0, []]);
    expect((await readLink(server, url)).status).toBe(410);
    const kept = (await receipt(id)).json();
    expect(kept).toMatchObject({
      state: 'expired',
      sha256,
      size: bytes,
      filename: 'log.csv',
      recipient: 'a@b.example',
      delivered_by: null,
    });
    expect(Date.parse(kept['ended_at'])).toBeGreaterThanOrEqual(Date.parse(kept['expires_at']));
    const audit = await server.deps.store.list('audit', {
      where: [['chain', '=', server.operator.accountId]],
      orderBy: [['seq', 'asc']],
      limit: 100,
    });
    expect(audit.filter((entry) => entry.action === 'transfer.expired' && entry.subject === id)).toHaveLength(1);
    clock.forward(3_600_000);
    await sweepOnce(server.deps, { atStart: false });
    expect((await receipt(id)).status).toBe(404);
    expect(await allTransfers(server.deps)).toEqual([]);
  });

  it('burned by its owner → bytes gone at once, the receipt remains', async () => {
    const { id } = (await send(bytes)).json();
    const burnt = await rawExchange(server.port, {
      head: `DELETE /v1/transfers/${id} HTTP/1.1`,
      fields: ['Host: x', `X-API-Key: ${key}`],
    });
    expect(burnt.status).toBe(200);
    expect([await bodies(), await blobFiles()]).toEqual([0, []]);
    expect((await receipt(id)).json()['state']).toBe('revoked');
  });
});

describe('an unfinished resumable upload', () => {
  it.each([300, 300_000])(
    'of %i bytes so far, its time over → bytes gone, a receipt says so, its key is free',
    async (bytes) => {
      const clock = shiftClock(server.deps);
      const tus = tusClient(server, key);
      const path = await tus.create(['Upload-Length: 400000']);
      await tus.patch(path, 0, seededBytes(bytes));
      clock.forward(server.deps.settings.resumableTtlMs + 1);
      await sweepOnce(server.deps, { atStart: false });
      expect([await bodies(), await blobFiles()]).toEqual([0, []]);
      const [row] = await allTransfers(server.deps);
      expect((await receipt(row?.id)).json()['state']).toBe('expired');
      expect(await halfDone(server.deps)).toEqual([]);
    },
  );
});

describe('what a crash leaves', () => {
  it('one-shot rows and blobs, blobs nobody knows, ended rows whose bytes remain → gone at start; the rest stays', async () => {
    const kept = (await send(300_000)).json();
    const tus = tusClient(server, key);
    const path = await tus.create(['Upload-Length: 400000']);
    await tus.patch(path, 0, seededBytes(300_000));
    const burned = (await send(200_000)).json();
    const { store, blobs } = server.deps;
    const whole = await store.get('transfers', { id: burned['id'] as TransferId });
    if (whole === null) throw new Error('expected the row');
    // Killed between the commit that ended it and the deletion of its bytes.
    await store.commit([
      {
        kind: 'update',
        table: 'transfers',
        row: { ...whole, state: 'burned', ended_at_ms: Date.now(), version: whole.version + 1 },
        expectVersion: whole.version,
      },
    ]);
    // Killed while a body came.
    const left = {
      ...whole,
      id: `${'L'.repeat(43)}` as TransferId,
      state: 'uploading' as const,
      size: null,
      offset: 0,
      upload_deadline_ms: Date.now() + 60_000,
    };
    await store.commit([{ kind: 'insert', table: 'transfers', row: left }]);
    for (const id of [left.id, 'O'.repeat(43)]) {
      const writer = await blobs.openWriter(id, { offset: 0 });
      await writer.write(Uint8Array.from(seededBytes(100_000)));
      await writer.finish();
    }
    server = await server.restart();
    expect((await allTransfers(server.deps)).map((row) => row.state).sort()).toEqual(['burned', 'ready', 'uploading']);
    expect(await blobFiles()).toHaveLength(2);
    expect(await halfDone(server.deps, { resumable: true })).toEqual([]);
    const after = tusClient(server, key);
    expect(await after.offset(path)).toBe(300_000);
    expect((await readLink(server, kept['url'])).bytes).toHaveLength(300_000);
  });

  it('strangers’ files in the blob folder → left alone', async () => {
    const folder = join(server.dataFolder, 'blobs', 'x', 'y');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'notes.txt'), 'mine');
    server = await server.restart();
    expect((await blobFiles()).map(({ bytes }) => bytes.toString())).toEqual(['mine']);
  });

  it('one upload that ends while the sweep takes it for abandoned → its bytes are not taken away under it', async () => {
    const { deps } = server;
    const { id, url } = (await send(300_000)).json();
    const row = await deps.store.get('transfers', { id: id as TransferId });
    if (row === null) throw new Error('expected the row');
    const stale = { ...row, state: 'uploading' as const, upload_deadline_ms: 1, version: row.version - 1 };
    const list = deps.store.list.bind(deps.store);
    // The list was read before it ended, the sweep acts on it after.
    deps.store.list = (async (table: 'transfers', query: Parameters<typeof list<'transfers'>>[1]) => {
      const rows = await list(table, query);
      return query.where.some((condition) => condition[0] === 'upload_deadline_ms') ? [stale, ...rows] : rows;
    }) as typeof deps.store.list;
    await sweepOnce(deps, { atStart: false });
    deps.store.list = list;
    expect((await readLink(server, url)).bytes).toHaveLength(300_000);
  });
});

it('several sweeps at once, over many rows → each ends what is due once', async () => {
  const clock = shiftClock(server.deps);
  for (let i = 0; i < 25; i++) await send(i % 5 === 0 ? 70_000 : 10, 'X-TTL: 60');
  await send(10, 'X-TTL: 600');
  clock.forward(61_000);
  const reports = await Promise.all(Array.from({ length: 4 }, () => sweepOnce(server.deps, { atStart: false })));
  expect(reports.reduce((sum, report) => sum + report.expired, 0)).toBe(25);
  const states = (await allTransfers(server.deps)).map((row) => row.state);
  expect(states.filter((state) => state === 'expired')).toHaveLength(25);
  expect(await halfDone(server.deps)).toEqual([]);
});
