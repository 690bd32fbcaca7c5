import { StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';

/** Primary result codes [sqlite.org/rescode.html]. */
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
const REASONS: ReadonlyMap<number, string> = new Map([
  [3, 'permission denied'],
  [SQLITE_BUSY, 'another process holds the database for too long'],
  [6, 'the database is locked'],
  [7, 'out of memory'],
  [8, 'the database is read-only'],
  [10, 'the disk reports an input/output error'],
  [11, 'the database file is damaged'],
  [14, 'the database file cannot be opened'],
  [15, 'the database lock protocol failed'],
  [21, 'the database was closed'],
  [22, 'the system cannot hold a file this large'],
  [23, 'permission denied'],
  [26, 'the file is not a database'],
]);

/** Codes that an open connection may not recover from: it is opened afresh before the next use. */
const CONNECTION_SUSPECT: ReadonlySet<number> = new Set([3, 8, 10, 11, 14, 15, 21, 26]);

const SQLITE_CONSTRAINT_PRIMARYKEY = 1555;
const SQLITE_CONSTRAINT_UNIQUE = 2067;

/** The extended result code of an error thrown by the driver; null where SQLite did not throw it. */
function resultCode(error: unknown): number | null {
  if (error === null || typeof error !== 'object') return null;
  const { code, errcode, message } = error as { code?: unknown; errcode?: unknown; message?: unknown };
  if (typeof errcode === 'number') return errcode;
  if (code === 'ERR_INVALID_STATE' || (typeof message === 'string' && /database is not open/i.test(message))) return 21;
  return null;
}

/** Whether a key or unique index is taken. */
export function isTaken(error: unknown): boolean {
  const code = resultCode(error);
  return code === SQLITE_CONSTRAINT_PRIMARYKEY || code === SQLITE_CONSTRAINT_UNIQUE;
}

/** Whether another process holds the write lock right now, so that waiting helps. */
export function isBusy(error: unknown): boolean {
  return ((resultCode(error) ?? 0) & 0xff) === SQLITE_BUSY;
}

export function isConnectionSuspect(error: unknown): boolean {
  return CONNECTION_SUSPECT.has((resultCode(error) ?? 0) & 0xff);
}

/** The port's fault for an error of SQLite's; any other error as it is. The message names a reason and no path or value. */
export function asFault(error: unknown): unknown {
  const code = resultCode(error);
  if (code === null) return error;
  if ((code & 0xff) === SQLITE_FULL) {
    return new StorageFullError('metadata: no room on the disk', { cause: error });
  }
  const reason = REASONS.get(code & 0xff);
  if (reason === undefined) return error;
  return new StorageUnavailableError(`metadata: ${reason} (SQLite ${code})`, { cause: error });
}
