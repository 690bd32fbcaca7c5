import type { Client } from 'pg';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { allTables, type Column, type Table } from '../rows.ts';
import { SCHEMA_FACT, SCHEMA_VERSION, USABLE_FROM } from '../schema-version.ts';

/** Text sorts by its bytes, as in every other store, whatever the locale of the database. */
const TYPES: Record<Column['base'], string> = {
  text: 'text COLLATE "C"',
  int: 'bigint',
  bool: 'boolean',
  bytes: 'bytea',
  // As text: `jsonb` refuses \u0000 and neither it nor the store looks inside.
  json: 'text COLLATE "C"',
};
const ZEROS: Record<Column['base'], string | null> = { text: "''", int: '0', bool: 'false', bytes: "''", json: null };

/** Any number that no other program takes: those that migrate wait for each other. */
const MIGRATION_LOCK = 4_861_922_357;

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The schema-qualified name of a table: no session has to know a search path, so poolers in between do no harm. */
export function qualified(schema: string, table: string): string {
  return `${quoted(schema)}.${quoted(table)}`;
}

/** The heads of the audit chains: one row a chain, locked by whoever appends. */
export const HEADS = 'audit_heads';

/** Adds whatever schema, tables, columns and indexes are missing. Nodes of older and newer programs may be at work. */
export async function migrate(client: Client, schema: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await refuseUnfit(client);
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoted(schema)}`);
    const present = await columnsOf(client, schema);
    await refuseUnsafe(client, schema, present);
    for (const table of allTables()) {
      for (const sql of statementsFor(schema, table, present.get(table.name))) await client.query(sql);
    }
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${qualified(schema, HEADS)}
       (chain text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL, hash text NOT NULL, prev_hash text NOT NULL)`,
    );
    await recordVersion(client, schema);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function statementsFor(schema: string, table: Table, present: ReadonlySet<string> | undefined): string[] {
  const name = qualified(schema, table.name);
  const clauses = table.columns.map((column) => ({ column, sql: columnClause(table, column) }));
  const statements: string[] = [];
  if (present === undefined) {
    statements.push(`CREATE TABLE IF NOT EXISTS ${name} (${clauses.map(({ sql }) => sql).join(', ')})`);
  } else {
    for (const { column, sql } of clauses) {
      if (present.has(column.name)) continue;
      if (!column.nullable && ZEROS[column.base] === null) {
        throw new TypeError(`expected the added column ${table.name}.${column.name} to be nullable: JSON has no zero`);
      }
      statements.push(`ALTER TABLE ${name} ADD COLUMN IF NOT EXISTS ${sql}`);
    }
  }
  const create = (columns: readonly string[], unique: boolean) => {
    // Names have at most 63 bytes; the table and columns make the longest about that.
    const index = quoted(`${unique ? 'u' : 'i'} ${table.name} ${columns.join(' ')}`.slice(0, 63));
    return `CREATE ${unique ? 'UNIQUE ' : ''}INDEX IF NOT EXISTS ${index} ON ${name} (${columns.map(quoted).join(', ')})`;
  };
  statements.push(...table.unique.map((columns) => create(columns, true)));
  statements.push(...table.indexes.map((columns) => create(columns, false)));
  return statements;
}

function columnClause(table: Table, column: Column): string {
  const parts = [quoted(column.name), TYPES[column.base]];
  if (!column.nullable) {
    parts.push('NOT NULL');
    if (column.name === table.key) parts.push('PRIMARY KEY');
    else if (ZEROS[column.base] !== null) parts.push(`DEFAULT ${ZEROS[column.base]}`);
  }
  return parts.join(' ');
}

async function columnsOf(client: Client, schema: string): Promise<Map<string, Set<string>>> {
  const { rows } = await client.query<{ table_name: string; column_name: string }>(
    'SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1',
    [schema],
  );
  const found = new Map<string, Set<string>>();
  for (const { table_name, column_name } of rows) {
    const columns = found.get(table_name) ?? new Set<string>();
    found.set(table_name, columns.add(column_name));
  }
  return found;
}

/** Settings under which the port's promises would not hold. */
async function refuseUnfit(client: Client): Promise<void> {
  const { rows } = await client.query<{ encoding: string; flush: string }>(
    `SELECT current_setting('server_encoding') AS encoding, current_setting('synchronous_commit') AS flush`,
  );
  const { encoding, flush } = rows[0] ?? { encoding: '', flush: '' };
  if (encoding !== 'UTF8') throw new StorageUnavailableError(`metadata: expected a database in UTF8, came ${encoding}`);
  if (flush === 'off') {
    throw new StorageUnavailableError(
      'metadata: expected synchronous_commit not to be off: commits must survive a crash',
    );
  }
}

interface StoredVersion {
  version: number;
  usable_from: number;
}

async function storedVersion(client: Client, schema: string): Promise<StoredVersion | null> {
  const facts = qualified(schema, 'facts');
  const { rows } = await client.query<{ value: string }>(`SELECT value FROM ${facts} WHERE id = $1`, [SCHEMA_FACT]);
  return rows[0] === undefined ? null : (JSON.parse(rows[0].value) as StoredVersion);
}

async function refuseUnsafe(client: Client, schema: string, present: ReadonlyMap<string, unknown>): Promise<void> {
  const stored = present.has('facts') ? await storedVersion(client, schema) : null;
  if (stored !== null && stored.usable_from > SCHEMA_VERSION) {
    throw new StorageUnavailableError(
      `metadata: the database was written by a newer program (schema ${stored.version}); this one knows schema ${SCHEMA_VERSION}: upgrade it`,
    );
  }
}

async function recordVersion(client: Client, schema: string): Promise<void> {
  const stored = await storedVersion(client, schema);
  if (stored !== null && stored.version >= SCHEMA_VERSION) return;
  const value: StoredVersion = { version: SCHEMA_VERSION, usable_from: USABLE_FROM };
  const facts = qualified(schema, 'facts');
  await client.query(
    `INSERT INTO ${facts} AS f (id, value, version) VALUES ($1, $2, 1)
     ON CONFLICT (id) DO UPDATE SET value = excluded.value, version = f.version + 1`,
    [SCHEMA_FACT, JSON.stringify(value)],
  );
}
