import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSqlite } from './adapters/sqlite/driver.ts';
import { openSqliteStore } from './adapters/sqlite/metadata-store.ts';
import type { MetadataStore } from './ports/metadata-store.ts';
import type { CampaignRecordRow, TransferRow } from './ports/tables.ts';
import { tallyOf } from './usecases/campaign/tally.ts';
import { dueQueries, ENDED_WITH_BYTES, listOf, oldReceipts } from './usecases/sweep.ts';
import { UPLOAD_WINDOW_BESIDE } from './usecases/upload/admission.ts';

/*
 * npx tsx server/growth.bench.ts [transfers …]: what a request, a link, a page, a claim, an idle sweep and the counts of a campaign's tick cost
 * as the tables grow (SQLite; by default 1,000, 30,000 and 300,000 transfers, and a tenth as many devices). Microseconds, medians.
 */
const CALLS = 300;
/** Transfers for each device, with its key and its window. */
const DEVICE_TRANSFERS = 10;
const HEAD = [
  'transfers',
  'devices',
  'authenticate',
  'link',
  'transfers/50',
  'devices/50',
  'claim',
  'idle sweep',
  'campaign',
  'bytes a row',
];
const CAMPAIGN = { id: 'cmp', campaign: { wave: 9 } } as CampaignRecordRow;
const TARGETS = process.argv.slice(2).map(Number);

async function microseconds(act: (i: number) => Promise<unknown>, calls = CALLS): Promise<string> {
  const took: number[] = [];
  for (let i = 0; i < calls; i++) {
    const began = performance.now();
    await act(i);
    took.push((performance.now() - began) * 1000);
  }
  took.sort((a, b) => a - b);
  return (took[calls >> 1] as number).toFixed(0);
}

async function fill(path: string, from: number, to: number): Promise<void> {
  const Database = await loadSqlite();
  const db = new Database(path);
  const meta = `x'${'5a'.repeat(180)}'`;
  // A fill that is cut is begun anew. Indexes are built at the end, each in one go.
  db.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -600000');
  const indexes = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").all() as {
    name: string;
    sql: string;
  }[];
  for (const { name } of indexes) db.exec(`DROP INDEX "${name}"`);
  db.prepare(
    `INSERT INTO transfers (id, account_id, key_id, device_id, subject, state, kind, upload_id, "offset", size, segment_bytes,
       storage, sealed_meta, end_to_end, created_at_ms, expires_at_ms, receipt_until_ms, ttl_seconds, receipt_ttl_seconds, burn,
       require_claim, attempts_max, lease_seconds, delivered, served, version, attempts, attempts_without_progress, bytes_served, held, lease_readers)
     WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     SELECT 't' || i, 'acc' || (i % 100), 'key' || (i % 1000), 'dev' || (i % 10000), 'dev' || (i % 10000),
       CASE WHEN i % 10 = 0 THEN 'ready' ELSE 'burned' END, 'one-shot', NULL, 4096, 4096, 65536,
       CASE WHEN i % 10 = 0 THEN 'inline' ELSE 'gone' END, ${meta}, 0, 1700000000000 + i, 9000000000000 + i, 9000000000000 + i, 86400,
       604800, 'on-delivery', 0, 5, 60, '[]', '[]', 1, 0, 0, 0, 0, 0 FROM n`,
  ).run(from, to);
  const [firstDevice, lastDevice] = [Math.floor((from - 1) / DEVICE_TRANSFERS) + 1, Math.floor(to / DEVICE_TRANSFERS)];
  const devices = 'WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)';
  db.prepare(
    `INSERT INTO api_keys (id, account_id, kind, device_id, name, prefix, hash, fingerprint, role, state, generation, created_at_ms, version)
     ${devices} SELECT 'k' || i, 'acc' || (i % 100), 'device', 'dev' || i, 'n', 'abcdefgh', 'hash' || i, '0011223344556677', 'operator',
       'active', 1, i, 1 FROM n`,
  ).run(firstDevice, lastDevice);
  db.prepare(
    `INSERT INTO devices (id, account_id, name, profile, tags, groups, created_at_ms, last_seen_at_ms, version)
     ${devices} SELECT 'dev' || i, 'acc' || (i % 100), 'device ' || i, 'node', '["roof"]', '[]', i, i, 1 FROM n`,
  ).run(firstDevice, lastDevice);
  db.prepare(
    `INSERT INTO windows (id, hits, version) ${devices} SELECT 'uploads dev' || i, '[1700000000000]', 1 FROM n`,
  ).run(firstDevice, lastDevice);
  // One campaign over the whole fleet, in its last wave: what is behind it, what is open, and nothing that waits.
  db.prepare(
    `INSERT INTO campaign_members (id, campaign_id, device_id, wave, outcome, contacted, limbo, base_generation, look_at_ms, version)
     ${devices} SELECT 'cmp/dev' || i, 'cmp', 'dev' || i, i % 10, CASE WHEN i % 100 = 0 THEN 'open' ELSE 'done' END, 1, 0, 1,
       9000000000000, 1 FROM n`,
  ).run(firstDevice, lastDevice);
  for (const { sql } of indexes) db.exec(sql);
  db.close();
}

async function measure(store: MetadataStore, rows: number): Promise<string[]> {
  const any = (i: number) => 1 + ((i * 7919) % rows);
  const unread = (i: number) => 10 * Math.max(1, Math.floor(any(i) / 10));
  const device = (i: number) => 1 + ((i * 7919) % Math.floor(rows / DEVICE_TRANSFERS));
  const newest = listOf({ where: [], by: 'state' });
  return [
    await microseconds((i) =>
      store.getBeside<'api_keys', 'windows'>('api_keys', { hash: `hash${device(i)}` }, UPLOAD_WINDOW_BESIDE),
    ),
    await microseconds((i) => store.get('transfers', { id: `t${any(i)}` as TransferRow['id'] })),
    await microseconds((i) =>
      store.list('transfers', {
        ...newest,
        where: [['account_id', '=', `acc${i % 100}` as TransferRow['account_id']]],
        orderBy: [
          ['created_at_ms', 'desc'],
          ['id', 'desc'],
        ],
        limit: 50,
      }),
    ),
    await microseconds((i) =>
      store.list('devices', {
        where: [['account_id', '=', `acc${i % 100}` as TransferRow['account_id']]],
        orderBy: [
          ['created_at_ms', 'desc'],
          ['id', 'desc'],
        ],
        limit: 50,
      }),
    ),
    await microseconds(async (i) => {
      const row = (await store.get('transfers', { id: `t${unread(i)}` as TransferRow['id'] })) as TransferRow;
      const claimed = { ...row, state: 'claimed' as const, version: row.version + 1 };
      await store.commit([{ kind: 'update', table: 'transfers', row: claimed, expectVersion: row.version }]);
    }),
    await microseconds(async () => {
      for (const query of [...dueQueries(5), ...ENDED_WITH_BYTES, oldReceipts(5)])
        await store.list('transfers', listOf(query));
    }),
    await microseconds(() => tallyOf({ store }, CAMPAIGN), CALLS / 20),
  ];
}

const folder = mkdtempSync(join(tmpdir(), 'fuselink-growth-'));
const path = join(folder, 'fuselink.db');
try {
  await (await openSqliteStore({ path })).close();
  process.stdout.write(`${HEAD.map((name) => name.padStart(12)).join(' ')}   (µs)\n`);
  let filled = 0;
  for (const rows of TARGETS.length > 0 ? TARGETS : [1_000, 30_000, 300_000]) {
    await fill(path, filled + 1, rows);
    filled = rows;
    const store = await openSqliteStore({ path });
    const figures = await measure(store, rows);
    await store.close();
    const each = Math.round(
      (statSync(path).size + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0)) / rows,
    );
    const line = [rows, Math.floor(rows / DEVICE_TRANSFERS), ...figures, each];
    process.stdout.write(`${line.map((figure) => String(figure).padStart(12)).join(' ')}\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
