import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deviceRow, factRow, keyRow, transferRow } from '../../ports/metadata-rows.contract.ts';
import { checkQuery } from '../queries.ts';
import { tableOf } from '../rows.ts';
import { SCHEMA_FACT, SCHEMA_VERSION } from '../schema-version.ts';
import { loadSqlite, type SqliteDatabase } from './driver.ts';
import { openSqliteStore } from './metadata-store.ts';
import { selectMany, selectOne } from './statements.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-schema-'));
  path = join(folder, 'm.db');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function raw<T>(use: (db: SqliteDatabase) => T): Promise<T> {
  const db = new (await loadSqlite())(path);
  try {
    return use(db);
  } finally {
    db.close();
  }
}

describe('sqlite schema', () => {
  it('an older file without a table, columns and indexes → they are added, its rows stay', async () => {
    const first = await openSqliteStore({ path });
    await first.commit([{ kind: 'insert', table: 'devices', row: deviceRow(1) }]);
    await first.close();
    await raw((db) => {
      db.exec('DROP TABLE "windows"');
      db.exec('DROP INDEX "by devices account_id created_at_ms id"');
      db.exec('ALTER TABLE "devices" DROP COLUMN "last_seen_at_ms"');
      db.exec('ALTER TABLE "devices" DROP COLUMN "profile"');
      db.exec(`UPDATE "facts" SET "value" = '{"version":0,"usable_from":0}' WHERE "id" = 'schema'`);
    });
    const store = await openSqliteStore({ path });
    expect(await store.get('devices', { id: deviceRow(1).id })).toEqual(deviceRow(1, { profile: '' }));
    expect(await store.commit([{ kind: 'take', id: 'w', atMs: 1, windowMs: 1, max: 1 }])).toEqual({ ok: true });
    expect(JSON.parse((await store.get('facts', { id: SCHEMA_FACT }))?.value ?? '')).toMatchObject({
      version: SCHEMA_VERSION,
    });
    await store.close();
  });

  it('a newer file that this program may still use → works, and what it does not know stays', async () => {
    await (await openSqliteStore({ path })).close();
    await raw((db) => {
      db.exec(`ALTER TABLE "devices" ADD COLUMN "colour" TEXT NOT NULL DEFAULT 'red'`);
      db.exec('CREATE TABLE "from the future" ("id" TEXT)');
      db.exec(`UPDATE "facts" SET "value" = '{"version":99,"usable_from":1}' WHERE "id" = 'schema'`);
    });
    const store = await openSqliteStore({ path });
    await store.commit([{ kind: 'insert', table: 'devices', row: deviceRow(1) }]);
    await store.commit([{ kind: 'update', table: 'devices', row: deviceRow(1, { version: 2 }), expectVersion: 1 }]);
    expect(JSON.parse((await store.get('facts', { id: SCHEMA_FACT }))?.value ?? '')).toMatchObject({ version: 99 });
    await store.close();
    expect(await raw((db) => db.prepare('SELECT "colour" FROM "devices"').all())).toMatchObject([{ colour: 'red' }]);
  });

  it('a newer file that this program would damage → refused with what to do', async () => {
    await (await openSqliteStore({ path })).close();
    await raw((db) => db.exec(`UPDATE "facts" SET "value" = '{"version":99,"usable_from":98}' WHERE "id" = 'schema'`));
    await expect(openSqliteStore({ path })).rejects.toThrow(/newer program.*upgrade/);
  });

  it('opened by many at the same moment → one schema, no error', async () => {
    const stores = await Promise.all(Array.from({ length: 6 }, () => openSqliteStore({ path })));
    for (const store of stores) await store.commit([{ kind: 'put', table: 'facts', row: factRow('a', 'x') }]);
    for (const store of stores) await store.close();
  });
});

describe('sqlite query plans', () => {
  const lists: [string, string, Parameters<typeof checkQuery>[1]][] = [
    [
      'an account’s newest transfers',
      'transfers',
      {
        where: [['account_id', '=', 'a']],
        orderBy: [
          ['created_at_ms', 'desc'],
          ['id', 'desc'],
        ],
        after: [5, 'x'],
        limit: 50,
      },
    ],
    [
      '... of one state',
      'transfers',
      {
        where: [
          ['account_id', '=', 'a'],
          ['state', '=', 'ready'],
        ],
        orderBy: [
          ['created_at_ms', 'desc'],
          ['id', 'desc'],
        ],
        limit: 50,
      },
    ],
    [
      '... of one device',
      'transfers',
      {
        where: [['device_id', '=', 'd']],
        orderBy: [
          ['created_at_ms', 'desc'],
          ['id', 'desc'],
        ],
        limit: 50,
      },
    ],
    [
      'what expires',
      'transfers',
      {
        where: [
          ['state', '=', 'ready'],
          ['expires_at_ms', '<=', 5],
        ],
        orderBy: [['expires_at_ms', 'asc']],
        limit: 50,
      },
    ],
    [
      'abandoned uploads',
      'transfers',
      {
        where: [
          ['state', '=', 'uploading'],
          ['upload_deadline_ms', '<=', 5],
        ],
        orderBy: [['upload_deadline_ms', 'asc']],
        limit: 50,
      },
    ],
    [
      'receipts to drop',
      'transfers',
      { where: [['receipt_until_ms', '<=', 5]], orderBy: [['receipt_until_ms', 'asc']], limit: 50 },
    ],
    [
      'a device’s keys',
      'api_keys',
      {
        where: [
          ['device_id', '=', 'd'],
          ['state', 'in', ['active', 'pending']],
        ],
        limit: 50,
      },
    ],
    ['the head of a chain', 'audit', { where: [['chain', '=', 'a']], orderBy: [['seq', 'desc']], limit: 1 }],
  ];
  it.each(lists)('%s → searched by an index, in its order, without a sort', async (_, name, query) => {
    await seeded();
    const table = tableOf(name as 'transfers');
    const { text, values } = selectMany(table, checkQuery(table, query));
    const plan = await raw((db) => db.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...values) as { detail: string }[]);
    const steps = plan
      .map(({ detail }) => detail)
      .filter((detail) => !/json_each|LIST SUBQUERY|BLOOM FILTER/.test(detail));
    expect(steps).toHaveLength(1);
    expect(steps[0]).toMatch(/^SEARCH \S+ USING (COVERING )?INDEX/);
  });

  it.each([
    ['api_keys', ['hash']],
    ['transfers', ['id']],
    ['transfers', ['upload_id']],
    ['transfers', ['idempotency_hash']],
    ['devices', ['account_id', 'name']],
  ] as const)('get %s by %j → one search by an index', async (name, columns) => {
    await seeded();
    const text = selectOne(tableOf(name), columns);
    const plan = await raw(
      (db) => db.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...columns.map(() => 'x')) as { detail: string }[],
    );
    expect(plan.map(({ detail }) => detail)).toEqual([expect.stringMatching(/^SEARCH \S+ USING INDEX/)]);
  });

  async function seeded(): Promise<void> {
    const store = await openSqliteStore({ path });
    await store.commit([{ kind: 'insert', table: 'transfers', row: transferRow(1) }]);
    await store.commit([{ kind: 'insert', table: 'api_keys', row: keyRow(1) }]);
    await store.close();
  }
});
