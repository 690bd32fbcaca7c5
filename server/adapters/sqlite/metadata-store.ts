import { StorageUnavailableError } from '../../ports/faults.ts';
import type { Beside, CommitOutcome, CountQuery, MetadataStore, Query, Write } from '../../ports/metadata-store.ts';
import type { TableName, Tables } from '../../ports/tables.ts';
import { checkBeside, checkCount, checkGet, checkQuery } from '../queries.ts';
import { checkTouch, columnOf, type Row, tableOf } from '../rows.ts';
import { decodeRow, encodeValue } from './codec.ts';
import { openConnection, type SqliteConnection } from './connection.ts';
import { GroupCommit } from './group-commit.ts';
import { countMany, selectBeside, selectMany, selectOne } from './statements.ts';

/** The `facts` row that `check` writes. */
const CHECK_FACT = 'store check';

/**
 * Metadata in one SQLite file (write-ahead log, every commit flushed to the disk before it is acknowledged). Several
 * processes of one machine may open the same file. Rejects with the port's faults where it cannot be opened, and with
 * StorageUnavailableError where a newer program has left a schema that this one would damage. `bytesMax`: how large the
 * file may grow before StorageFullError; absent: as large as the disk allows.
 */
export async function openSqliteStore(options: { path: string; bytesMax?: number }): Promise<MetadataStore> {
  return new SqliteStore(await openConnection(options));
}

class SqliteStore implements MetadataStore {
  readonly #db: SqliteConnection;
  readonly #group: GroupCommit;
  #closing: Promise<void> | null = null;

  constructor(db: SqliteConnection) {
    this.#db = db;
    this.#group = new GroupCommit(db);
  }

  async get<T extends TableName>(name: T, where: Partial<Tables[T]>): Promise<Tables[T] | null> {
    const table = tableOf(name);
    const names = checkGet(table, where as Row);
    const values = names.map((column) => encodeValue(columnOf(table, column), (where as Row)[column]));
    const found = this.#read(() => this.#db.get(selectOne(table, names), values));
    return found === null ? null : (decodeRow(table, found) as unknown as Tables[T]);
  }

  async getBeside<T extends TableName, B extends TableName>(
    name: T,
    where: Partial<Tables[T]>,
    { table: besideName, prefix, columns }: Beside<Tables[T], B>,
  ): Promise<{ row: Tables[T]; beside: Tables[B] | null } | null> {
    const [table, other] = [tableOf(name), tableOf(besideName)];
    const names = checkGet(table, where as Row);
    checkBeside(table, other, columns);
    const values = names.map((column) => encodeValue(columnOf(table, column), (where as Row)[column]));
    const text = selectBeside(table, names, { table: other, columns });
    const found = this.#read(() => this.#db.get(text, [prefix, ...values]));
    if (found === null) return null;
    const width = table.columns.length;
    return {
      row: decodeRow(table, found) as unknown as Tables[T],
      // Every row has a version: without one there is no row beside.
      beside:
        found[width + other.columns.length] === null
          ? null
          : (decodeRow(other, found.slice(width)) as unknown as Tables[B]),
    };
  }

  async list<T extends TableName>(name: T, query: Query<Tables[T]>): Promise<Tables[T][]> {
    const table = tableOf(name);
    const { text, values } = selectMany(table, checkQuery(table, query));
    const found = this.#read(() => this.#db.all(text, values));
    return found.map((row) => decodeRow(table, row) as unknown as Tables[T]);
  }

  async count<T extends TableName>(name: T, query: CountQuery<Tables[T]>): Promise<{ rows: number; sum: number }> {
    const table = tableOf(name);
    const { text, values } = countMany(table, checkCount(table, query), query.sum);
    const found = this.#read(() => this.#db.get(text, values)) ?? [0, 0];
    return { rows: found[0] as number, sum: found[1] as number };
  }

  commit(writes: readonly Write[]): Promise<CommitOutcome> {
    if (this.#closing !== null) return Promise.reject(closed());
    if (writes.length === 0) return Promise.resolve({ ok: true });
    return this.#group.commit(writes);
  }

  touch<T extends TableName>(name: T, key: string, column: keyof Tables[T] & string, value: number): void {
    checkTouch(tableOf(name), column, value);
    if (this.#closing === null) this.#group.touch({ table: name, key, column, value });
  }

  async check(): Promise<void> {
    if (this.#closing !== null) throw closed();
    this.#db.checkSameFile();
    await this.commit([{ kind: 'put', table: 'facts', row: { id: CHECK_FACT, value: 'writable', version: 1 } }]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#group.drain().then(() => this.#db.close());
    return this.#closing;
  }

  #read<R>(read: () => R): R {
    try {
      return read();
    } catch (error) {
      throw this.#db.fault(error);
    }
  }
}

function closed(): StorageUnavailableError {
  return new StorageUnavailableError('metadata: the store was closed');
}
