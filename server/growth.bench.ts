import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSqlite } from './adapters/sqlite/driver.ts';
import { openSqliteStore } from './adapters/sqlite/metadata-store.ts';
import type { MetadataStore } from './ports/metadata-store.ts';
import type { TransferRow } from './ports/tables.ts';
import { dueQueries, ENDED_WITH_BYTES, listOf, oldReceipts } from './usecases/sweep.ts';

/*
 * npx tsx server/growth.bench.ts [rows …]: what authenticate, a link, a page, a claim and an idle sweep cost as the table of
 * transfers grows (SQLite; by default 1,000, 30,000 and 300,000 rows). Microseconds a call, the median of many.
 */
const CALLS = 300;
const TARGETS = process.argv.slice(2).map(Number);

async function microseconds(act: (i: number) => Promise<unknown>): Promise<string> {
  const took: number[] = [];
  for (let i = 0; i < CALLS; i++) {
    const began = performance.now();
    await act(i);
    took.push((performance.now() - began) * 1000);
  }
  took.sort((a, b) => a - b);
  return (took[CALLS / 2] as number).toFixed(0).padStart(9);
}

async function fill(path: string, from: number, to: number): Promise<void> {
  const Database = await loadSqlite();
  const db = new Database(path);
  const meta = `x'${'5a'.repeat(180)}'`;
  db.exec('PRAGMA synchronous = OFF');
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
  db.prepare(
    `INSERT INTO api_keys (id, account_id, kind, name, prefix, hash, fingerprint, role, state, generation, created_at_ms, version)
     WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     SELECT 'k' || i, 'acc' || (i % 100), 'device', 'n', 'abcdefgh', 'hash' || i, '0011223344556677', 'operator', 'active', 1, i, 1 FROM n`,
  ).run(from, to);
  db.close();
}

async function measure(store: MetadataStore, rows: number): Promise<string[]> {
  const any = (i: number) => 1 + ((i * 7919) % rows);
  const unread = (i: number) => 10 * Math.max(1, Math.floor(any(i) / 10));
  const newest = listOf({ where: [], by: 'state' });
  return [
    await microseconds((i) => store.get('api_keys', { hash: `hash${any(i)}` })),
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
    await microseconds(async (i) => {
      const row = (await store.get('transfers', { id: `t${unread(i)}` as TransferRow['id'] })) as TransferRow;
      const claimed = { ...row, state: 'claimed' as const, version: row.version + 1 };
      await store.commit([{ kind: 'update', table: 'transfers', row: claimed, expectVersion: row.version }]);
    }),
    await microseconds(async () => {
      for (const query of [...dueQueries(5), ...ENDED_WITH_BYTES, oldReceipts(5)])
        await store.list('transfers', listOf(query));
    }),
  ];
}

const folder = mkdtempSync(join(tmpdir(), 'fuselink-growth-'));
const path = join(folder, 'fuselink.db');
try {
  await (await openSqliteStore({ path })).close();
  process.stdout.write('     rows  authenticate     link   page of 50    claim  idle sweep   (µs)   bytes a row\n');
  let filled = 0;
  for (const rows of TARGETS.length > 0 ? TARGETS : [1_000, 30_000, 300_000]) {
    await fill(path, filled + 1, rows);
    filled = rows;
    const store = await openSqliteStore({ path });
    const [authenticate, link, page, claim, sweep] = await measure(store, rows);
    await store.close();
    const each = Math.round(
      (statSync(path).size + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0)) / rows,
    );
    process.stdout.write(
      `${String(rows).padStart(9)} ${authenticate} ${link} ${page} ${claim} ${sweep} ${String(each).padStart(12)}\n`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
