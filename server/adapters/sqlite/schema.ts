import { StorageUnavailableError } from '../../ports/faults.ts';
import { allTables, type Column, type Table } from '../rows.ts';
import { SCHEMA_FACT, SCHEMA_VERSION, USABLE_FROM } from '../schema-version.ts';
import type { SqliteDatabase } from './driver.ts';

const TYPES: Record<Column['base'], string> = {
  text: 'TEXT',
  int: 'INTEGER',
  bool: 'INTEGER',
  bytes: 'BLOB',
  json: 'TEXT',
};
/** What rows of an older program hold in a column they did not know. JSON has no zero that fits all: it must be nullable. */
const ZEROS: Record<Column['base'], string | null> = { text: "''", int: '0', bool: '0', bytes: "x''", json: null };

/** Small rows that are only ever found by key: one b-tree instead of a table and its index. */
const KEY_CLUSTERED: ReadonlySet<string> = new Set(['facts', 'windows', 'accounts']);

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
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

function createTable(table: Table): string {
  const columns = table.columns.map((column) => columnClause(table, column)).join(', ');
  const options = KEY_CLUSTERED.has(table.name) ? 'STRICT, WITHOUT ROWID' : 'STRICT';
  return `CREATE TABLE IF NOT EXISTS ${quoted(table.name)} (${columns}) ${options}`;
}

function createIndexes(table: Table): string[] {
  const create = (columns: readonly string[], unique: boolean) => {
    const name = quoted(`${unique ? 'unique' : 'by'} ${table.name} ${columns.join(' ')}`);
    const list = columns.map(quoted).join(', ');
    return `CREATE ${unique ? 'UNIQUE ' : ''}INDEX IF NOT EXISTS ${name} ON ${quoted(table.name)} (${list})`;
  };
  return [
    ...table.unique.map((columns) => create(columns, true)),
    ...table.indexes.map((columns) => create(columns, false)),
  ];
}

/** Adds whatever tables, columns and indexes the file lacks, in one transaction that several processes may race for. */
export function migrate(db: SqliteDatabase): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    refuseUnsafe(db);
    for (const table of allTables()) {
      db.exec(createTable(table));
      addColumns(db, table);
      for (const sql of createIndexes(table)) db.exec(sql);
    }
    recordVersion(db);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function addColumns(db: SqliteDatabase, table: Table): void {
  const present = db.prepare('SELECT name FROM pragma_table_info(?)').all(table.name) as { name: string }[];
  const names = new Set(present.map(({ name }) => name));
  for (const column of table.columns) {
    if (names.has(column.name)) continue;
    if (!column.nullable && ZEROS[column.base] === null) {
      throw new TypeError(`expected the added column ${table.name}.${column.name} to be nullable: JSON has no zero`);
    }
    db.exec(`ALTER TABLE ${quoted(table.name)} ADD COLUMN ${columnClause(table, column)}`);
  }
}

interface StoredVersion {
  version: number;
  usable_from: number;
}

function storedVersion(db: SqliteDatabase): StoredVersion | null {
  if (db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'facts'").get() === undefined)
    return null;
  const row = db.prepare('SELECT "value" FROM "facts" WHERE "id" = ?').get(SCHEMA_FACT) as
    | { value: string }
    | undefined;
  return row === undefined ? null : (JSON.parse(row.value) as StoredVersion);
}

function refuseUnsafe(db: SqliteDatabase): void {
  const stored = storedVersion(db);
  if (stored !== null && stored.usable_from > SCHEMA_VERSION) {
    throw new StorageUnavailableError(
      `metadata: the database was written by a newer program (schema ${stored.version}); this one knows schema ${SCHEMA_VERSION}: upgrade it`,
    );
  }
}

function recordVersion(db: SqliteDatabase): void {
  const stored = storedVersion(db);
  if (stored !== null && stored.version >= SCHEMA_VERSION) return;
  const value: StoredVersion = { version: SCHEMA_VERSION, usable_from: USABLE_FROM };
  db.prepare(
    `INSERT INTO "facts" ("id", "value", "version") VALUES (?, ?, 1)
     ON CONFLICT ("id") DO UPDATE SET "value" = excluded."value", "version" = "version" + 1`,
  ).run(SCHEMA_FACT, JSON.stringify(value));
}
