import { chmodSync, closeSync, existsSync, fsyncSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { makeFolderDurably, syncFolder } from '../folders.ts';
import { loadSqlite, type SqliteDatabase, type SqliteStatement, type SqliteValue } from './driver.ts';
import { asFault, isConnectionSuspect } from './faults.ts';
import { migrate } from './schema.ts';

/** Statements kept prepared. Shapes come from code, not from users, so this is never reached in practice. */
const STATEMENTS_MAX = 500;
/** How long SQLite itself waits for another process, blocking this one; longer waits are made between turns. */
const BUSY_TIMEOUT_MS = 100;
const OPEN_WAIT_MS_MAX = 10_000;
const PAGE_BYTES = 4096;
const CACHE_KIB = 16 * 1024;
/** The write-ahead log is cut back to this after a checkpoint that emptied it. */
const LOG_BYTES_KEPT = 64 * 1024 * 1024;

/**
 * One SQLite file with its prepared statements. After a fault that a connection may not survive (input/output error,
 * permission lost, file replaced) the next use opens the file afresh; a file that vanished is never made anew.
 */
export interface SqliteConnection {
  /** Runs SQL with no values and no rows. */
  exec(sql: string): void;
  run(sql: string, values: readonly SqliteValue[]): number;
  /** The first row as an array of values; null where there is none. */
  get(sql: string, values: readonly SqliteValue[]): unknown[] | null;
  all(sql: string, values: readonly SqliteValue[]): unknown[][];
  /** Throws the fault where the file is no longer the one that was opened. */
  checkSameFile(): void;
  /** Tells the connection of an error, which it may be broken by; gives back the port's fault. */
  fault(error: unknown): unknown;
  readonly isTransaction: boolean;
  close(): void;
}

export interface ConnectionOptions {
  path: string;
  /** The file may not grow beyond this; absent: as far as the disk goes. */
  bytesMax?: number;
}

/** Opens or makes the database file (0600, in a folder of 0700), brings its schema up to date. Rejects with the port's faults. */
export async function openConnection(options: ConnectionOptions): Promise<SqliteConnection> {
  const Database = await loadSqlite();
  try {
    createFile(options.path);
    return await retryWhileBusy(() => new Connection(options, () => new Database(options.path)));
  } catch (error) {
    throw asStorageFault(error);
  }
}

function createFile(path: string): void {
  const folder = dirname(path);
  makeFolderDurably(folder);
  if (existsSync(path)) return;
  // SQLite gives its log and shared memory the mode of the main file.
  const file = openSync(path, 'a', 0o600);
  fsyncSync(file);
  closeSync(file);
  chmodSync(path, 0o600);
  syncFolder(folder);
}

/** Turning on the write-ahead log needs the file to itself for a moment, and SQLite does not wait for that by itself. */
async function retryWhileBusy<T>(open: () => T): Promise<T> {
  const giveUpAtMs = performance.now() + OPEN_WAIT_MS_MAX;
  for (;;) {
    try {
      return open();
    } catch (error) {
      const busy = /locked|busy/i.test(error instanceof Error ? error.message : '');
      if (!busy || performance.now() > giveUpAtMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function asStorageFault(error: unknown): unknown {
  const { code } = (error ?? {}) as { code?: unknown };
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
    return new StorageUnavailableError(`metadata: the database cannot be opened (${code})`, { cause: error });
  }
  return asFault(error);
}

class Connection implements SqliteConnection {
  readonly #path: string;
  readonly #pagesMax: number;
  readonly #open: () => SqliteDatabase;
  #db: SqliteDatabase;
  #statements = new Map<string, SqliteStatement>();
  #suspect = false;
  #closed = false;
  #inode: bigint;

  constructor(options: ConnectionOptions, open: () => SqliteDatabase) {
    this.#path = options.path;
    this.#pagesMax = Math.max(1, Math.floor((options.bytesMax ?? Number.POSITIVE_INFINITY) / PAGE_BYTES));
    this.#open = open;
    this.#db = this.#opened();
    this.#inode = statSync(options.path, { bigint: true }).ino;
  }

  #opened(): SqliteDatabase {
    const db = this.#open();
    try {
      // secure_delete: salts and sealed names are overwritten on their pages when they go, at no extra page writes.
      db.exec(`
        PRAGMA page_size = ${PAGE_BYTES};
        PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA secure_delete = FAST;
        PRAGMA temp_store = MEMORY;
        PRAGMA cache_size = -${CACHE_KIB};
        PRAGMA journal_size_limit = ${LOG_BYTES_KEPT};
        PRAGMA trusted_schema = OFF;
      `);
      migrate(db);
      if (Number.isFinite(this.#pagesMax)) db.exec(`PRAGMA max_page_count = ${this.#pagesMax}`);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  #usable(): SqliteDatabase {
    if (this.#closed) throw new StorageUnavailableError('metadata: the store was closed');
    if (this.#suspect) this.#reopen();
    return this.#db;
  }

  #reopen(): void {
    this.checkSameFile();
    this.#statements.clear();
    try {
      this.#db.close();
    } catch {
      // It was closed, or broken enough not to close: the new one replaces it either way.
    }
    this.#db = this.#opened();
    this.#suspect = false;
  }

  #prepared(sql: string): SqliteStatement {
    const db = this.#usable();
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
    const statement = db.prepare(sql);
    statement.setReturnArrays(true);
    this.#statements.set(sql, statement);
    return statement;
  }

  exec(sql: string): void {
    this.#prepared(sql).run();
  }

  run(sql: string, values: readonly SqliteValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
  }

  get(sql: string, values: readonly SqliteValue[]): unknown[] | null {
    return (this.#prepared(sql).get(...values) as unknown[] | undefined) ?? null;
  }

  all(sql: string, values: readonly SqliteValue[]): unknown[][] {
    return this.#prepared(sql).all(...values) as unknown[][];
  }

  checkSameFile(): void {
    let inode: bigint | null = null;
    try {
      inode = statSync(this.#path, { bigint: true }).ino;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new StorageUnavailableError(`metadata: the database file is gone or out of reach (${code})`, {
        cause: error,
      });
    }
    if (inode !== this.#inode) {
      this.#suspect = true;
      throw new StorageUnavailableError('metadata: the database file was replaced while in use: restart');
    }
  }

  fault(error: unknown): unknown {
    if (isConnectionSuspect(error)) this.#suspect = true;
    return asFault(error);
  }

  get isTransaction(): boolean {
    return !this.#closed && this.#db.isTransaction;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    try {
      this.#db.close();
    } catch (error) {
      // All that was acknowledged is in the log already; a connection broken by a fault has nothing more to say.
      if (!this.#suspect) throw asFault(error);
    }
  }
}
