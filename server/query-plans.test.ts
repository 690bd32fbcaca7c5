import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgresStore } from './adapters/postgres/metadata-store.ts';
import { Statements } from './adapters/postgres/statements.ts';
import { type PostgresServer, startPostgres } from './adapters/postgres/testing.ts';
import { checkQuery } from './adapters/queries.ts';
import { type Row, tableOf } from './adapters/rows.ts';
import { loadSqlite, type SqliteDatabase } from './adapters/sqlite/driver.ts';
import { migrate } from './adapters/sqlite/schema.ts';
import { selectBeside, selectMany, selectOne } from './adapters/sqlite/statements.ts';
import type { Query } from './ports/metadata-store.ts';
import type { AuditRow, TableName, TransferRow, WebhookMessageRow } from './ports/tables.ts';
import { dueQueries, ENDED_WITH_BYTES, listOf, oldReceipts } from './usecases/sweep.ts';
import { UPLOAD_WINDOW_BESIDE } from './usecases/upload/admission.ts';

/** Enough rows that a planner prefers an index to reading everything, and few enough for a second. */
const ROWS = 30_000;

interface Hot {
  what: string;
  table: TableName;
  get?: string;
  /** With what is read beside it. */
  beside?: typeof UPLOAD_WINDOW_BESIDE;
  list?: Query<TransferRow> | Query<AuditRow> | Query<WebhookMessageRow>;
  /** The columns that the plan must look rows up by, in any order. */
  by: string[];
}

/** What every request, every page and every sweep asks; each must be found by an index, whatever the table has grown to. */
const HOT: Hot[] = [
  { what: 'a key', table: 'api_keys', get: 'hash', by: ['hash'] },
  { what: 'authenticate', table: 'api_keys', get: 'hash', beside: UPLOAD_WINDOW_BESIDE, by: ['hash'] },
  {
    what: 'events: behind a place in a chain',
    table: 'audit',
    list: { where: [['chain', '=', 'acc']], orderBy: [['seq', 'asc']], after: [5], limit: 200 },
    by: ['chain', 'seq'],
  },
  {
    what: 'webhooks: messages that are due',
    table: 'webhook_messages',
    list: {
      where: [
        ['state', '=', 'waiting'],
        ['due_at_ms', '<=', 5],
      ],
      orderBy: [
        ['due_at_ms', 'asc'],
        ['id', 'asc'],
      ],
      limit: 500,
    },
    by: ['state', 'due_at_ms'],
  },
  { what: 'a link', table: 'transfers', get: 'id', by: ['id'] },
  { what: 'a resumable upload', table: 'transfers', get: 'upload_id', by: ['upload_id'] },
  { what: 'an Idempotency-Key', table: 'transfers', get: 'idempotency_hash', by: ['idempotency_hash'] },
  { what: 'a window', table: 'windows', get: 'id', by: ['id'] },
  {
    what: 'list: newest of an account',
    table: 'transfers',
    list: {
      where: [['account_id', '=', 'acc' as TransferRow['account_id']]],
      orderBy: [
        ['created_at_ms', 'desc'],
        ['id', 'desc'],
      ],
      after: [1, 'x'],
      limit: 50,
    },
    by: ['account_id'],
  },
  {
    what: 'list: of a device',
    table: 'transfers',
    list: {
      where: [['device_id', '=', 'dev' as NonNullable<TransferRow['device_id']>]],
      orderBy: [
        ['created_at_ms', 'desc'],
        ['id', 'desc'],
      ],
      limit: 50,
    },
    by: ['device_id'],
  },
  ...[...dueQueries(5), ...ENDED_WITH_BYTES, oldReceipts(5)].map(
    (query): Hot => ({
      what: `sweep: ${query.where.map((condition) => condition.join(' ')).join(', ')}`,
      table: 'transfers',
      list: listOf(query),
      by: [...new Set(query.where.map(([column]) => column))],
    }),
  ),
];

const checked = (hot: Hot) => checkQuery(tableOf(hot.table), hot.list as never);

describe('PostgreSQL', () => {
  let server: PostgresServer | null;
  let client: pg.Client;
  beforeAll(async () => {
    server = await startPostgres();
    if (server === null) return;
    await (await openPostgresStore({ url: server.url() })).close();
    client = new pg.Client({ connectionString: server.url() });
    await client.connect();
    await client.query(fill('"fuselink"."transfers"', 'generate_series(1, $1) AS i', 'i::text'), [ROWS]);
    await client.query(fillKeys('"fuselink"."api_keys"', 'generate_series(1, $1) AS i', 'i::text'), [ROWS]);
    await client.query(`INSERT INTO "fuselink"."windows" SELECT i::text, '[]', 1 FROM generate_series(1, $1) AS i`, [
      ROWS,
    ]);
    const numbers = 'generate_series(1, $1) AS i';
    await client.query(fillChain('"fuselink"."audit"', numbers, 'i::text'), [ROWS]);
    await client.query(fillMessages('"fuselink"."webhook_messages"', numbers, 'i::text'), [ROWS]);
    await client.query('ANALYZE');
  });
  afterAll(async () => {
    await client?.end();
    await server?.stop();
  });

  it.each(HOT)('plan: $what → by $by, nothing read that is not asked for, also as a generic plan', async (hot) => {
    if (server === null) return;
    const statements = new Statements('fuselink');
    const { text } =
      hot.get === undefined
        ? statements.list(tableOf(hot.table), checked(hot))
        : hot.beside === undefined
          ? statements.get(tableOf(hot.table), [hot.get], { [hot.get]: 'x' } as Row)
          : statements.getBeside(tableOf(hot.table), [hot.get], { [hot.get]: 'x' } as Row, {
              ...hot.beside,
              table: tableOf(hot.beside.table),
            });
    const { rows } = await client.query(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`);
    const plan = JSON.stringify(rows[0]['QUERY PLAN'][0].Plan);
    const conditions = [...plan.matchAll(/"(?:Index Cond|Recheck Cond)":"([^"]+(?:\\"[^"]*)*)"/g)]
      .map(([, c]) => c)
      .join();
    expect({ plan, scanned: plan.includes('Seq Scan') }).toEqual({ plan, scanned: false });
    for (const column of hot.by) expect(`${conditions} of ${plan}`).toMatch(new RegExp(`^[^{]*\\b${column}\\b`));
  });
});

describe('SQLite', () => {
  let db: SqliteDatabase;
  beforeAll(async () => {
    const Database = await loadSqlite();
    db = new Database(':memory:');
    migrate(db);
    const rows = `(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n)`;
    db.prepare(fill('"transfers"', rows, 'CAST(i AS TEXT)')).run(ROWS);
  });
  afterAll(() => db.close());

  it.each(HOT)('plan: $what → by $by', (hot) => {
    const text =
      hot.get === undefined
        ? selectMany(tableOf(hot.table), checked(hot)).text
        : hot.beside === undefined
          ? selectOne(tableOf(hot.table), [hot.get])
          : selectBeside(tableOf(hot.table), [hot.get], { ...hot.beside, table: tableOf(hot.beside.table) });
    const steps = db.prepare(`EXPLAIN QUERY PLAN ${text}`).all() as { detail: string }[];
    const plan = steps.map(({ detail }) => detail).join('; ');
    expect(plan).toMatch(/^SEARCH /);
    expect(plan).not.toContain('SCAN ');
    for (const column of hot.by) expect(plan).toMatch(new RegExp(`\\b${column}[=<>]`));
  });
});

/** Transfers as they are after a while: most have ended, some wait, a few are under way. */
function fill(into: string, from: string, text: string): string {
  const state = `CASE WHEN i % 100 = 0 THEN 'claimed' WHEN i % 100 = 1 THEN 'uploading' WHEN i % 10 = 2 THEN 'ready' ELSE 'burned' END`;
  const columns: Record<string, string> = {
    id: `'t' || ${text}`,
    account_id: `'acc'`,
    key_id: `'key'`,
    device_id: `'dev' || (i % 500)`,
    subject: `'dev' || (i % 500)`,
    state,
    kind: `'one-shot'`,
    upload_id: `'u' || ${text}`,
    offset: '1',
    segment_bytes: '65536',
    storage: `CASE WHEN i % 10 = 2 THEN 'blob' ELSE 'gone' END`,
    created_at_ms: 'i',
    upload_deadline_ms: 'CASE WHEN i % 100 = 1 THEN i ELSE NULL END',
    expires_at_ms: 'i + 1000',
    receipt_until_ms: 'i + 100000',
    idempotency_hash: `'h' || ${text}`,
    delivered: `'[]'`,
    served: `'[]'`,
    version: '1',
  };
  return insertSelect(into, columns, from);
}

function fillKeys(into: string, from: string, text: string): string {
  const own = { id: `'k' || ${text}`, account_id: `'acc'`, hash: `'h' || ${text}`, created_at_ms: 'i' };
  return insertSelect(into, { ...own, version: '1' }, from);
}

function fillChain(into: string, from: string, text: string): string {
  const own = { id: `'acc/' || ${text}`, chain: `'acc' || (i % 10)`, seq: 'i', at_ms: 'i', detail: `'{}'` };
  return insertSelect(into, { ...own, version: '1' }, from);
}

/** As they are after a week: nearly all have been taken. */
function fillMessages(into: string, from: string, text: string): string {
  const state = `CASE WHEN i % 1000 = 0 THEN 'waiting' ELSE 'delivered' END`;
  const own = { id: `'m' || ${text}`, webhook_id: `'w'`, state, due_at_ms: 'i', created_at_ms: 'i', version: '1' };
  return insertSelect(into, own, from);
}

function insertSelect(into: string, columns: Record<string, string>, from: string): string {
  const names = Object.keys(columns).map((name) => `"${name}"`);
  return `INSERT INTO ${into} (${names.join(', ')}) SELECT ${Object.values(columns).join(', ')} FROM ${from}`;
}
