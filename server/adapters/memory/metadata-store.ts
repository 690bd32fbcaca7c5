import { hash } from 'node:crypto';
import { canonicalAuditText } from '../../domain/audit-chain.ts';
import { takeFromWindow } from '../../domain/sliding-window.ts';
import { StorageUnavailableError } from '../../ports/faults.ts';
import type {
  AuditEntry,
  Beside,
  CommitOutcome,
  CountQuery,
  MetadataStore,
  Query,
  Write,
} from '../../ports/metadata-store.ts';
import type { TableName, Tables } from '../../ports/tables.ts';
import { checkBeside, checkCount, checkGet, checkQuery } from '../queries.ts';
import { allTables, checkRow, checkTouch, checkUpdate, type Row, tableOf } from '../rows.ts';
import { selectRows } from './select.ts';
import { copyRow, MemoryTable, takeRow } from './table.ts';

/** Metadata that lives as long as the process: for simulations and tests. A commit is one synchronous step. */
export function createMemoryStore(): MetadataStore {
  return new MemoryStore();
}

type Refusal = 'conflict' | 'exists' | 'window-full';
/** Puts one table back as it was before one write. */
type Undo = () => void;

class MemoryStore implements MetadataStore {
  readonly #tables = new Map(allTables().map((table) => [table.name, new MemoryTable(table)]));
  /** The newest audit entry of each chain. */
  readonly #heads = new Map<string, Row>();
  #closed = false;

  async get<T extends TableName>(name: T, where: Partial<Tables[T]>): Promise<Tables[T] | null> {
    const table = this.#table(name);
    const row = table.find(checkGet(table.shape, where as Row), where as Row);
    return row === null ? null : (copyRow(table.shape, row) as unknown as Tables[T]);
  }

  async getBeside<T extends TableName, B extends TableName>(
    name: T,
    where: Partial<Tables[T]>,
    beside: Beside<Tables[T], B>,
  ): Promise<{ row: Tables[T]; beside: Tables[B] | null } | null> {
    const [table, other] = [this.#table(name), this.#table(beside.table)];
    checkBeside(table.shape, other.shape, beside.columns);
    const row = table.find(checkGet(table.shape, where as Row), where as Row);
    if (row === null) return null;
    const told = beside.columns.map((column) => row[column]).find((value) => value !== null);
    const found = told === undefined ? undefined : other.get(`${beside.prefix}${told as string}`);
    return {
      row: copyRow(table.shape, row) as unknown as Tables[T],
      beside: found === undefined ? null : (copyRow(other.shape, found) as unknown as Tables[B]),
    };
  }

  async list<T extends TableName>(name: T, query: Query<Tables[T]>): Promise<Tables[T][]> {
    const table = this.#table(name);
    const rows = selectRows(table, checkQuery(table.shape, query));
    return rows.map((row) => copyRow(table.shape, row) as unknown as Tables[T]);
  }

  async count<T extends TableName>(name: T, query: CountQuery<Tables[T]>): Promise<{ rows: number; sum: number }> {
    const table = this.#table(name);
    const where = checkCount(table.shape, query);
    const rows = selectRows(table, { where, order: [], after: null, limit: Number.POSITIVE_INFINITY });
    const column = query.sum;
    const sum =
      column === undefined ? 0 : rows.reduce((total, row) => total + ((row[column] as number | null) ?? 0), 0);
    return { rows: rows.length, sum };
  }

  async commit(writes: readonly Write[]): Promise<CommitOutcome> {
    this.#refuseClosed();
    const undo: Undo[] = [];
    const back = () => {
      for (const step of undo.reverse()) step();
    };
    try {
      for (let index = 0; index < writes.length; index++) {
        const reason = this.#apply(writes[index] as Write, undo);
        if (reason === null) continue;
        back();
        return { ok: false, index, reason };
      }
    } catch (error) {
      back();
      throw error;
    }
    return { ok: true };
  }

  touch<T extends TableName>(name: T, key: string, column: keyof Tables[T] & string, value: number): void {
    checkTouch(tableOf(name), column, value);
    if (this.#closed) return;
    const table = this.#table(name);
    const row = table.get(key);
    const before = row?.[column] as number | null | undefined;
    if (row === undefined || (before !== null && (before ?? 0) >= value)) return;
    table.set({ ...row, [column]: value });
  }

  async check(): Promise<void> {
    this.#refuseClosed();
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #refuseClosed(): void {
    if (this.#closed) throw new StorageUnavailableError('metadata: the store was closed');
  }

  #table(name: TableName): MemoryTable {
    this.#refuseClosed();
    return this.#tables.get(tableOf(name).name) as MemoryTable;
  }

  #apply(write: Write, undo: Undo[]): Refusal | null {
    switch (write.kind) {
      case 'insert': {
        const { table, row } = this.#incoming(write.table, write.row);
        checkRow(table.shape, row);
        if (table.get(table.keyOf(row)) !== undefined) return 'exists';
        return store(table, row, undo);
      }
      case 'update': {
        const { table, row } = this.#incoming(write.table, write.row);
        checkUpdate(table.shape, row, write.expectVersion);
        if (table.get(table.keyOf(row))?.['version'] !== write.expectVersion) return 'conflict';
        return store(table, row, undo);
      }
      case 'put': {
        const { table, row } = this.#incoming(write.table, write.row);
        checkRow(table.shape, row);
        return store(table, row, undo);
      }
      case 'delete': {
        const table = this.#table(write.table);
        const { expectVersion } = write;
        if (expectVersion !== undefined && table.get(write.key)?.['version'] !== expectVersion) return 'conflict';
        const gone = table.remove(write.key);
        if (gone !== null) undo.push(() => void table.set(gone));
        return null;
      }
      case 'expect': {
        const version = this.#table(write.table).get(write.key)?.['version'] ?? 0;
        return version === write.version ? null : 'conflict';
      }
      case 'take': {
        const table = this.#table('windows');
        const before = table.get(write.id);
        const options = { nowMs: write.atMs, windowMs: write.windowMs, max: write.max };
        const hits = takeFromWindow((before?.['hits'] as number[] | undefined) ?? [], options);
        if (hits === null) return 'window-full';
        const version = ((before?.['version'] as number | undefined) ?? 0) + 1;
        return store(table, { id: write.id, hits, version }, undo);
      }
      case 'audit':
        return this.#append(write.entry, undo);
    }
  }

  #incoming(name: TableName, given: object): { table: MemoryTable; row: Row } {
    return { table: this.#table(name), row: given as Row };
  }

  #append(entry: AuditEntry, undo: Undo[]): null {
    const table = this.#table('audit');
    const head = this.#headOf(table, entry.chain);
    const seq = ((head?.['seq'] as number | undefined) ?? 0) + 1;
    const linked = { ...entry, seq, prev_hash: (head?.['hash'] as string | undefined) ?? '' };
    const digest = hash('sha256', canonicalAuditText(linked), 'base64url');
    const row = { ...linked, id: `${entry.chain}/${seq}`, hash: digest, version: 1 };
    checkRow(table.shape, row);
    store(table, row, undo);
    this.#heads.set(entry.chain, table.get(row.id) as Row);
    return null;
  }

  /** The newest entry of a chain: remembered, and looked up again where it is no longer there (after an undo, say). */
  #headOf(table: MemoryTable, chain: string): Row | undefined {
    const known = this.#heads.get(chain);
    const next = known === undefined ? '' : `${chain}/${(known['seq'] as number) + 1}`;
    if (known !== undefined && table.get(table.keyOf(known)) === known && table.get(next) === undefined) return known;
    return selectRows(table, {
      where: [{ column: 'chain', operator: '=', value: chain }],
      order: [{ column: 'seq', descending: true }],
      after: null,
      limit: 1,
    })[0];
  }
}

function store(table: MemoryTable, given: Row, undo: Undo[]): 'exists' | null {
  if (table.isTaken(given)) return 'exists';
  const row = takeRow(table.shape, given);
  const before = table.get(table.keyOf(row));
  if (before !== undefined) {
    for (const column of table.shape.rising) row[column] = later(before[column], row[column]);
  }
  table.set(row);
  undo.push(() => void (before === undefined ? table.remove(table.keyOf(row)) : table.set(before)));
  return null;
}

/** The greater of two values that may be missing: a rising column never falls. */
function later(before: unknown, now: unknown): unknown {
  if (before === undefined || before === null) return now;
  return now === null || (now as number) < (before as number) ? before : now;
}
