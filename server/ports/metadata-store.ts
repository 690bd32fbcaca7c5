import type { TableName, Tables } from './tables.ts';

/**
 * Where metadata lives. Reads are plain; every change goes through `commit`, an atomic batch of writes that either
 * all hold and are durable when the promise resolves, or none does. Concurrent commits may share one disk flush
 * (group commit), but one failing batch never affects another.
 *
 * Faults (disk full, connection lost) reject with StorageFullError or StorageUnavailableError (ports/faults.ts);
 * conflicts are values. One contract suite, `metadata-store.contract.ts`, runs against every adapter.
 */
export interface MetadataStore {
  /** The row whose column(s) equal the given value(s), by the key or a unique index; null where there is none. */
  get<T extends TableName>(table: T, where: Partial<Tables[T]>): Promise<Tables[T] | null>;
  /**
   * As `get`, and beside it the row of another table whose key the found row tells; both as of one moment, for the price
   * of one look-up. For what is asked with every request.
   */
  getBeside<T extends TableName, B extends TableName>(
    table: T,
    where: Partial<Tables[T]>,
    beside: Beside<Tables[T], B>,
  ): Promise<{ row: Tables[T]; beside: Tables[B] | null } | null>;
  /** Rows in the order asked for. Only indexed columns may be filtered and ordered by. */
  list<T extends TableName>(table: T, query: Query<Tables[T]>): Promise<Tables[T][]>;
  /** How many rows match (same rules as `list`), and the sum of an integer column over them where `sum` is given. */
  count<T extends TableName>(table: T, query: CountQuery<Tables[T]>): Promise<{ rows: number; sum: number }>;
  /** Applies all writes or none. Resolves when what it did is durable. */
  commit(writes: readonly Write[]): Promise<CommitOutcome>;
  /**
   * Raises an integer column to `value` if that is higher, without touching `version`; shares the next commit and is
   * durable within about a second. For last-used and last-seen times: a crash may lose the newest of them.
   */
  touch<T extends TableName>(table: T, key: string, column: keyof Tables[T] & string, value: number): void;
  /** Resolves if the store can read and write now; rejects with the fault otherwise. For readiness. */
  check(): Promise<void>;
  /** Writes out what `touch` still holds, and lets go of files and connections. */
  close(): Promise<void>;
}

/** The row of `table` whose key is `prefix` and then the first of the columns that is not null. */
export interface Beside<Row, B extends TableName> {
  table: B;
  prefix: string;
  columns: readonly (keyof Row & string)[];
}

export type Operator = '=' | '<' | '<=' | '>' | '>=' | 'in' | 'is-null' | 'not-null';

/** `[column, operator, value]`; `in` takes an array, `is-null` and `not-null` ignore the value. */
export type Condition<Row> = {
  [C in keyof Row & string]:
    | readonly [C, '=' | '<' | '<=' | '>' | '>=', Row[C]]
    | readonly [C, 'in', readonly Row[C][]]
    | readonly [C, 'is-null' | 'not-null'];
}[keyof Row & string];

export interface Query<Row> {
  where: readonly Condition<Row>[];
  orderBy?: readonly (readonly [keyof Row & string, 'asc' | 'desc'])[];
  /** Values of the `orderBy` columns of the last row seen: the page starts behind it. All orders must then agree. */
  after?: readonly (string | number)[];
  limit: number;
}

export interface CountQuery<Row> {
  where: readonly Condition<Row>[];
  sum?: keyof Row & string;
}

type InsertWrite = { [T in TableName]: { kind: 'insert'; table: T; row: Tables[T] } }[TableName];
/** Replaces the whole row where its version is `expectVersion`; `row.version` must be `expectVersion + 1`. */
type UpdateWrite = { [T in TableName]: { kind: 'update'; table: T; row: Tables[T]; expectVersion: number } }[TableName];
/** Inserts, or replaces whatever is there, whatever its version. */
type PutWrite = { [T in TableName]: { kind: 'put'; table: T; row: Tables[T] } }[TableName];
/** Deletes by key; with `expectVersion` only that version (else a conflict). Deleting what is not there is fine without it. */
type DeleteWrite = { kind: 'delete'; table: TableName; key: string; expectVersion?: number };

/** Counts one event of `id` in a sliding window; conflicts with `window-full` (and counts nothing) at `max`. */
export interface TakeWrite {
  kind: 'take';
  id: string;
  atMs: number;
  windowMs: number;
  max: number;
}

/** Appends to an account's hash chain; the store fills in seq, prev_hash and hash (domain/audit-chain.ts). */
export interface AuditWrite {
  kind: 'audit';
  entry: AuditEntry;
}

export interface AuditEntry {
  chain: string;
  at_ms: number;
  actor: string;
  action: string;
  subject: string;
  outcome: 'done' | 'refused';
  detail: Record<string, unknown>;
  from: string;
}

/** Holds only if the row has exactly this version now (0: there is no such row). Writes nothing. */
export interface ExpectWrite {
  kind: 'expect';
  table: TableName;
  key: string;
  version: number;
}

export type Write = InsertWrite | UpdateWrite | PutWrite | DeleteWrite | TakeWrite | AuditWrite | ExpectWrite;

export type CommitOutcome =
  | { ok: true }
  /** `index`: which write did not hold. `exists`: a key or unique index is taken. `conflict`: the version has moved. */
  | { ok: false; index: number; reason: 'conflict' | 'exists' | 'window-full' };
