import pg from 'pg';
import { StorageUnavailableError } from '../../ports/faults.ts';
import type {
  Beside,
  CommitOutcome,
  CountQuery,
  ExpectWrite,
  MetadataStore,
  Query,
  Write,
} from '../../ports/metadata-store.ts';
import type { TableName, Tables } from '../../ports/tables.ts';
import { checkBeside, checkCount, checkGet, checkQuery } from '../queries.ts';
import { checkRow, checkTouch, checkUpdate, type Row, tableOf } from '../rows.ts';
import { asFault, isAftermath, isCollision, isLost, isNotHeld, isTaken } from './faults.ts';
import { GroupCommit, type Step } from './group-commit.ts';
import { migrate } from './schema.ts';
import { decodeRow, type Statement, Statements } from './statements.ts';
import { Touches } from './touches.ts';

/** The `facts` row that `check` writes. */
const CHECK_FACT = 'store check';
const CONNECTIONS_MAX = 16;
const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 20_000;
/** How often a batch is tried that collides with others; each collision means that another one went through. */
const COLLISIONS_MAX = 20;
const COLLISION_PAUSE_MS = 5;
/** A `fuselink` schema holds no other program's tables. */
const SCHEMA = 'fuselink';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, or a socket; never repeated in a message. */
  url: string;
  schema?: string;
  connectionsMax?: number;
}

/**
 * Metadata in PostgreSQL 14 or newer. Any number of nodes may share one database. Each batch is one transaction that is
 * sent in one go (statements that do not hold raise an error of their own), so it costs one round trip and holds locks
 * for none. Rejects with the port's faults where the database cannot be reached or used.
 */
export async function openPostgresStore(options: PostgresOptions): Promise<MetadataStore> {
  const schema = options.schema ?? SCHEMA;
  const client = new pg.Client({ connectionString: options.url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await migrate(client, schema);
  } catch (error) {
    throw asFault(error);
  } finally {
    await client.end().catch(() => undefined);
  }
  return new PostgresStore(options, schema);
}

const INT8 = 20;
const NUMERIC = 1700;
const BYTEA = 17;

/** 64-bit integers as numbers (all stored ones are exact), bytes as bare Uint8Arrays. */
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === INT8 || oid === NUMERIC) return (text: string) => Number(text);
    if (oid === BYTEA) return (text: string) => new Uint8Array(Buffer.from(text.slice(2), 'hex'));
    return pg.types.getTypeParser(oid, format as 'text');
  },
} as pg.CustomTypesConfig;

type Refusal = 'conflict' | 'exists' | 'window-full';

class PostgresStore implements MetadataStore {
  readonly #pool: pg.Pool;
  readonly #statements: Statements;
  readonly #touches: Touches;
  #closing: Promise<void> | null = null;
  readonly #group: GroupCommit;

  constructor(options: PostgresOptions, schema: string) {
    this.#pool = new pg.Pool({
      connectionString: options.url,
      max: options.connectionsMax ?? CONNECTIONS_MAX,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      application_name: 'fuselink',
      types,
      // Statements go out without waiting for the answers of those before them.
      ...({ pipeline: true } as object),
    });
    // An idle connection that is lost is replaced when it is needed.
    this.#pool.on('error', () => undefined);
    // A lost connection that is in use tells its queries, and also emits: unheard, that would end the process.
    this.#pool.on('connect', (client) => void client.on('error', () => undefined));
    this.#statements = new Statements(schema);
    this.#group = new GroupCommit({
      run: (steps) => this.#commitOnce(inLockOrder(steps)),
      runUntilClear: (steps) => this.#commitUntilClear(inLockOrder(steps)),
    });
    this.#touches = new Touches(async (table, column, values) => {
      await this.#read(this.#statements.raise(tableOf(table), column, values));
    });
  }

  async get<T extends TableName>(name: T, where: Partial<Tables[T]>): Promise<Tables[T] | null> {
    const table = tableOf(name);
    const columns = checkGet(table, where as Row);
    const rows = await this.#read(this.#statements.get(table, columns, where as Row));
    return rows[0] === undefined ? null : (decodeRow(table, rows[0]) as unknown as Tables[T]);
  }

  async getBeside<T extends TableName, B extends TableName>(
    name: T,
    where: Partial<Tables[T]>,
    beside: Beside<Tables[T], B>,
  ): Promise<{ row: Tables[T]; beside: Tables[B] | null } | null> {
    const [table, other] = [tableOf(name), tableOf(beside.table)];
    const columns = checkGet(table, where as Row);
    checkBeside(table, other, beside.columns);
    const [found] = await this.#read(
      this.#statements.getBeside(table, columns, where as Row, { ...beside, table: other }),
    );
    if (found === undefined) return null;
    const width = table.columns.length;
    return {
      row: decodeRow(table, found) as unknown as Tables[T],
      beside:
        found[width + other.columns.length] === null
          ? null
          : (decodeRow(other, found.slice(width)) as unknown as Tables[B]),
    };
  }

  async list<T extends TableName>(name: T, query: Query<Tables[T]>): Promise<Tables[T][]> {
    const table = tableOf(name);
    const rows = await this.#read(this.#statements.list(table, checkQuery(table, query)));
    return rows.map((row) => decodeRow(table, row) as unknown as Tables[T]);
  }

  async count<T extends TableName>(name: T, query: CountQuery<Tables[T]>): Promise<{ rows: number; sum: number }> {
    const table = tableOf(name);
    const [found] = await this.#read(this.#statements.count(table, checkCount(table, query), query.sum));
    return { rows: found?.[0] as number, sum: found?.[1] as number };
  }

  async commit(writes: readonly Write[]): Promise<CommitOutcome> {
    this.#refuseClosed();
    if (writes.length === 0) return { ok: true };
    return this.#group.commit(
      writes.map((write, index) => ({ write, index, statement: this.#statementOf(write, writes) })),
    );
  }

  touch<T extends TableName>(name: T, key: string, column: keyof Tables[T] & string, value: number): void {
    checkTouch(tableOf(name), column, value);
    if (this.#closing === null) this.#touches.add({ table: name, key, column, value });
  }

  async check(): Promise<void> {
    await this.commit([{ kind: 'put', table: 'facts', row: { id: CHECK_FACT, value: 'writable', version: 1 } }]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#group.drain();
    await this.#touches.flush();
    await this.#pool.end();
  }

  #refuseClosed(): void {
    if (this.#closing !== null) throw new StorageUnavailableError('metadata: the store was closed');
  }

  /** Reads may be repeated: once more where a connection turns out to be dead (the server was restarted meanwhile). */
  async #read(statement: Statement): Promise<unknown[][]> {
    for (let attempt = 1; ; attempt++) {
      if (this.#pool.ending) throw new StorageUnavailableError('metadata: the store was closed');
      try {
        return (await this.#pool.query<unknown[]>(statement)).rows;
      } catch (error) {
        if (attempt > 1 || !isLost(error)) throw asFault(error);
      }
    }
  }

  async #commitUntilClear(steps: readonly Step[]): Promise<CommitOutcome> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#commitOnce(steps);
      } catch (error) {
        if (!isCollision(error) || attempt >= COLLISIONS_MAX) throw asFault(error);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * COLLISION_PAUSE_MS * attempt));
      }
    }
  }

  async #commitOnce(steps: readonly Step[]): Promise<CommitOutcome> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      // One statement is a transaction by itself.
      const alone = steps.length === 1;
      const begun = alone ? null : client.query('BEGIN');
      const sent = steps.map(({ statement }) => client.query<unknown[]>(statement));
      const ended = alone ? null : client.query('COMMIT');
      const results = await Promise.allSettled([begun, ...sent, ended]);
      const failed = results.findIndex((result) => result.status === 'rejected' && !isAftermath(result.reason));
      if (failed === -1) return { ok: true };
      const { reason: error } = results[failed] as PromiseRejectedResult;
      if (isLost(error)) broken = error as Error;
      const step = steps[failed - 1];
      const reason = step === undefined ? null : refusalOf(step.write, error);
      if (step === undefined || reason === null) throw error;
      return { ok: false, index: step.index, reason };
    } finally {
      client.release(broken);
    }
  }

  #statementOf(write: Write, batch: readonly Write[]): Statement {
    if (write.kind === 'take') return this.#statements.take(write);
    if (write.kind === 'audit') {
      const filled = { ...write.entry, id: 'x', seq: 1, prev_hash: '', hash: '', version: 1 };
      checkRow(tableOf('audit'), filled as unknown as Row);
      return this.#statements.audit(write.entry);
    }
    const table = tableOf(write.table);
    switch (write.kind) {
      case 'insert':
        checkRow(table, write.row as unknown as Row);
        return this.#statements.insert(table, write.row as unknown as Row);
      case 'update':
        checkUpdate(table, write.row as unknown as Row, write.expectVersion);
        return this.#statements.update(table, write.row as unknown as Row, write.expectVersion);
      case 'put':
        checkRow(table, write.row as unknown as Row);
        return this.#statements.put(table, write.row as unknown as Row);
      case 'delete':
        return this.#statements.delete(table, write.key, write.expectVersion);
      case 'expect':
        return this.#statements.expect(
          table,
          write.key,
          write.version,
          !batch.some((other) => writesRow(other, write)),
        );
    }
  }
}

/**
 * Rows in the order given, then windows and last chains, each sorted: all batches of an account meet at these, and two
 * that locked them in opposite orders would wait for the second that PostgreSQL takes to notice.
 */
function inLockOrder(steps: readonly Step[]): Step[] {
  const rank = ({ write }: Step) => {
    if (write.kind === 'take') return `1 ${write.id}`;
    return write.kind === 'audit' ? `2 ${write.entry.chain}` : '0';
  };
  // The sort is stable: steps of one rank stay in the order given.
  return steps
    .map((step) => ({ step, rank: rank(step) }))
    .sort((a, b) => (a.rank === b.rank ? 0 : a.rank < b.rank ? -1 : 1))
    .map(({ step }) => step);
}

/** Whether `other` changes the row that is expected. */
function writesRow(other: Write, expected: ExpectWrite): boolean {
  if (other.kind === 'take' || other.kind === 'audit' || other.kind === 'expect') return false;
  if (other.table !== expected.table) return false;
  const key = other.kind === 'delete' ? other.key : (other.row as unknown as Row)[tableOf(other.table).key];
  return key === expected.key;
}

/** The outcome that an error of this write's statement stands for; null where it is none. */
function refusalOf(write: Write, error: unknown): Refusal | null {
  if (isTaken(error)) return 'exists';
  if (!isNotHeld(error)) return null;
  return write.kind === 'take' ? 'window-full' : 'conflict';
}
