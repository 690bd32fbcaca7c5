import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { allTables, type Column, type Row, type Table } from './adapters/rows.ts';
import { SCHEMA_FACT, SCHEMA_VERSION } from './adapters/schema-version.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { AuditEntry, MetadataStore, Write } from './ports/metadata-store.ts';
import type { Tables } from './ports/tables.ts';

/*
 * The file between two databases, one JSON value a line:
 *
 *   {"fuselink_export":1,"schema":…}                     what follows
 *   ["<table>",{column: value, …}]                       a row; bytes as {"base64": …}
 *   {"tables":{"<table>":{"rows":…,"sha256":"…"}}}       the end: without it the file was cut
 *
 * The digest of a table is that of its rows' lines in the order of their keys.
 */

const FORMAT = 1;
const PAGE_ROWS = 500;
const COMMIT_ROWS = 200;
const BLOB_READ_BYTES = 8 * 1_048_576;
/** Facts that each database has for itself. */
const OWN_FACTS = new Set([SCHEMA_FACT, 'store check']);

export interface MovedTable {
  rows: number;
  sha256: string;
}
export type Moved = Record<string, MovedTable>;

/** Writes every row to a new file (0600) and flushes it. No server may write meanwhile: what it adds would be missed. */
export async function exportTo(store: MetadataStore, path: string): Promise<Moved> {
  const file = await open(path, 'wx', 0o600);
  try {
    await writeLine(file, JSON.stringify({ fuselink_export: FORMAT, schema: SCHEMA_VERSION }));
    const tables: Moved = {};
    for (const table of allTables()) {
      tables[table.name] = await digestTable(store, table, (line) => writeLine(file, line));
    }
    await writeLine(file, JSON.stringify({ tables }));
    await file.sync();
    await file.close();
    return tables;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(path, { force: true });
    throw error;
  }
}

/**
 * Reads such a file into a database that has nothing in it yet, then reads everything back and compares counts and digests.
 * Throws where the file was cut or altered, where the database holds something, or where what came out differs.
 */
export async function importFrom(store: MetadataStore, path: string): Promise<Moved> {
  await refuseFilled(store);
  const expected = await checkFile(path);
  let held: Write[] = [];
  const flush = async () => {
    const outcome = held.length === 0 ? { ok: true as const } : await store.commit(held);
    if (!outcome.ok)
      throw new Error(`expected an empty database, found a row that is there already (${outcome.reason})`);
    held = [];
  };
  for await (const value of linesOf(path)) {
    if (!Array.isArray(value)) continue;
    const [name, row] = value as [keyof Tables, Row];
    const table = allTables().find((one) => one.name === name) as Table;
    held.push(writeOf(table, decoded(table, row)));
    if (held.length >= COMMIT_ROWS) await flush();
  }
  await flush();
  const found: Moved = {};
  for (const table of allTables()) {
    found[table.name] = await digestTable(store, table, async () => undefined);
    const [want, got] = [expected[table.name], found[table.name]];
    if (want?.rows !== got?.rows || want?.sha256 !== got?.sha256) {
      throw new Error(
        `${table.name}: expected ${want?.rows} rows with the digest ${want?.sha256}, found ${got?.rows} with ${got?.sha256}. Drop what was imported and begin again.`,
      );
    }
  }
  return found;
}

/** Copies every blob to a store that lacks it, and compares sizes. The number and bytes of those copied. */
export async function copyBlobs(from: BlobStore, to: BlobStore): Promise<{ blobs: number; bytes: number }> {
  const copied = { blobs: 0, bytes: 0 };
  for await (const id of from.list()) {
    const size = await from.size(id);
    if (size === null || (await to.size(id)) === size) continue;
    const writer = await to.openWriter(id, { offset: 0 });
    for (let offset = 0; offset < size; offset += BLOB_READ_BYTES) {
      const length = Math.min(BLOB_READ_BYTES, size - offset);
      for await (const piece of from.read(id, { offset, length })) await writer.write(piece);
    }
    await writer.finish();
    const arrived = await to.size(id);
    if (arrived !== size) throw new Error(`a blob: expected ${size} bytes where it was copied to, found ${arrived}`);
    copied.blobs++;
    copied.bytes += size;
  }
  return copied;
}

async function refuseFilled(store: MetadataStore): Promise<void> {
  for (const table of allTables()) {
    if (table.name === 'facts') continue;
    const { rows } = await store.count(table.name, { where: [] });
    if (rows > 0) throw new Error(`expected an empty database, found ${rows} rows in ${table.name}`);
  }
}

/** What the end of the file tells, held against its lines. */
async function checkFile(path: string): Promise<Moved> {
  const sums = new Map<string, { rows: number; hash: Hash }>(
    allTables().map(({ name }) => [name, { rows: 0, hash: createHash('sha256') }]),
  );
  let end: Moved | null = null;
  let first = true;
  for await (const value of linesOf(path)) {
    if (first) {
      const { fuselink_export: format, schema } = value as { fuselink_export?: number; schema?: number };
      if (format !== FORMAT) throw new Error(`${path}: expected an export of format ${FORMAT}, got another file`);
      if (!(Number(schema) <= SCHEMA_VERSION))
        throw new Error(`${path}: expected schema ${SCHEMA_VERSION} or older, got ${schema}: upgrade this program`);
      first = false;
    } else if (Array.isArray(value)) {
      const sum = sums.get(value[0]);
      if (sum === undefined) throw new Error(`${path}: expected rows of known tables, got one of ${value[0]}`);
      sum.rows++;
      sum.hash.update(`${JSON.stringify(value)}\n`);
    } else {
      end = (value as { tables: Moved }).tables;
    }
  }
  if (end === null)
    throw new Error(`${path}: expected a line with counts and digests at the end, got none: it was cut`);
  for (const [name, { rows, hash }] of sums) {
    const want = end[name] ?? { rows: 0, sha256: createHash('sha256').digest('hex') };
    end[name] = want;
    if (want.rows !== rows || want.sha256 !== hash.digest('hex'))
      throw new Error(`${path}: expected ${want.rows} whole rows of ${name}, got ${rows} or others: it was altered`);
  }
  return end;
}

async function* linesOf(path: string): AsyncGenerator<unknown> {
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    try {
      yield JSON.parse(line);
    } catch {
      throw new Error(`${path}: expected JSON in line ${number}, got something else: it was cut or altered`);
    }
  }
}

async function digestTable(
  store: MetadataStore,
  table: Table,
  each: (line: string) => Promise<void>,
): Promise<MovedTable> {
  const hash = createHash('sha256');
  let rows = 0;
  // A chain is written again entry by entry, so it must come in its own order.
  const order = table.name === 'audit' ? ['chain', 'seq'] : [table.key];
  let after: (string | number)[] | null = null;
  for (;;) {
    const query = { where: [], orderBy: order.map((name) => [name, 'asc']), limit: PAGE_ROWS };
    const page = (await store.list(table.name, {
      ...query,
      ...(after === null ? {} : { after }),
    } as never)) as unknown as Row[];
    for (const row of page) {
      if (table.name === 'facts' && OWN_FACTS.has(String(row['id']))) continue;
      const line = JSON.stringify([table.name, encoded(table, row)]);
      hash.update(`${line}\n`);
      rows++;
      await each(line);
    }
    const last = page[page.length - 1];
    if (last === undefined || page.length < PAGE_ROWS) return { rows, sha256: hash.digest('hex') };
    after = order.map((name) => last[name] as string | number);
  }
}

function writeOf(table: Table, row: Row): Write {
  // The keyring's check value was left by whoever opened the database for this import.
  if (table.name === 'facts') return { kind: 'put', table: 'facts', row: row as unknown as Tables['facts'] };
  if (table.name === 'audit') return { kind: 'audit', entry: auditEntryOf(row as unknown as Tables['audit']) };
  return { kind: 'insert', table: table.name, row } as unknown as Write;
}

/** The store numbers and hashes it anew; that it comes to the same proves the chain. */
function auditEntryOf(row: Tables['audit']): AuditEntry {
  const { chain, at_ms, actor, action, subject, outcome, detail, from } = row;
  return { chain, at_ms, actor, action, subject, outcome, detail, from };
}

function encoded(table: Table, row: Row): Row {
  const value = (column: Column) => {
    const plain = row[column.name];
    if (plain instanceof Uint8Array) return { base64: Buffer.from(plain).toString('base64') };
    return column.base === 'json' ? sorted(plain) : plain;
  };
  return Object.fromEntries(table.columns.map((column) => [column.name, value(column)]));
}

function decoded(table: Table, row: Row): Row {
  const value = (column: Column) => {
    const plain = row[column.name] ?? null;
    if (column.base !== 'bytes' || plain === null) return plain;
    return new Uint8Array(Buffer.from((plain as { base64: string }).base64, 'base64'));
  };
  return Object.fromEntries(table.columns.map((column) => [column.name, value(column)]));
}

/** Objects with their names in one order: databases need not keep it. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]));
}

async function writeLine(file: FileHandle, line: string): Promise<void> {
  await file.appendFile(`${line}\n`);
}
