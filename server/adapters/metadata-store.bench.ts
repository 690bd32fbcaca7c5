import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceId } from '../domain/ids.ts';
import { bodyRow, deviceRow, keyRow } from '../ports/metadata-rows.contract.ts';
import type { MetadataStore, Write } from '../ports/metadata-store.ts';
import { createMemoryStore } from './memory/metadata-store.ts';
import { openPostgresStore } from './postgres/metadata-store.ts';
import { startPostgres } from './postgres/testing.ts';
import { openSqliteStore } from './sqlite/metadata-store.ts';

/** `npx tsx server/adapters/metadata-store.bench.ts`: durable commits and look-ups per second, seconds in all. PostgreSQL where it is installed. */

const COMMITTERS = 16;

async function perSecond(count: number, run: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await run();
  return Math.round((count / (performance.now() - startMs)) * 1000);
}

function concurrently(count: number, committers: number, each: (number: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const loop = async () => {
    while (next < count) await each(next++);
  };
  return perSecond(count, async () => {
    await Promise.all(Array.from({ length: committers }, loop));
  });
}

async function bench(name: string, store: MetadataStore): Promise<void> {
  const insert = (number: number): Write => ({ kind: 'insert', table: 'api_keys', row: keyRow(number) });
  const bytes = new Uint8Array(16 * 1024).fill(7);
  const figures: Record<string, number> = {};
  figures['insert, 16 committers'] = await concurrently(20_000, COMMITTERS, (at) => store.commit([insert(at)]));
  figures['insert, 1 committer'] = await concurrently(2_000, 1, (at) => store.commit([insert(100_000 + at)]));
  figures['body of 16 KiB + audit + window, 16 committers'] = await concurrently(4_000, COMMITTERS, (at) =>
    store.commit([
      { kind: 'insert', table: 'bodies', row: bodyRow(at, bytes) },
      { kind: 'take', id: `device-${at % 50}`, atMs: at * 1_000, windowMs: 60_000, max: 60 },
      {
        kind: 'audit',
        entry: {
          chain: 'a',
          at_ms: at,
          actor: 'k',
          action: 'upload',
          subject: 't',
          outcome: 'done',
          detail: {},
          from: '',
        },
      },
    ]),
  );
  await store.commit(
    Array.from({ length: 100 }, (_, at): Write => ({ kind: 'put', table: 'devices', row: deviceRow(at) })),
  );
  figures['update by version, 16 committers'] = await concurrently(10_000, COMMITTERS, async (at) => {
    const version = Math.floor(at / 100) + 1;
    const row = deviceRow(at % 100, { version: version + 1 });
    await store.commit([{ kind: 'update', table: 'devices', row, expectVersion: version }]);
  });
  figures['get by unique index'] = await concurrently(50_000, 16, (at) =>
    store.get('api_keys', { hash: `hash-${at % 20_000}` }),
  );
  figures['get by key'] = await concurrently(50_000, 16, (at) =>
    store.get('devices', { id: `device-${at % 100}` as DeviceId }),
  );
  for (const [what, value] of Object.entries(figures)) console.log(`${name}: ${what}: ${value.toLocaleString('en')}/s`);
}

const folder = await mkdtemp(join(tmpdir(), 'fuselink-bench-'));
const postgres = await startPostgres();
try {
  const stores: [string, MetadataStore][] = [
    ['memory', createMemoryStore()],
    ['sqlite', await openSqliteStore({ path: join(folder, 'metadata.db') })],
  ];
  if (postgres !== null) stores.push(['postgres', await openPostgresStore({ url: postgres.url() })]);
  for (const [name, store] of stores) {
    await bench(name, store);
    await store.close();
  }
} finally {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
}
