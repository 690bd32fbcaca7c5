import { StorageUnavailableError } from '../../ports/faults.ts';
import type { CommitOutcome, Write } from '../../ports/metadata-store.ts';
import type { TableName } from '../../ports/tables.ts';
import { tableOf } from '../rows.ts';
import { applyBatch } from './batch.ts';
import type { SqliteConnection } from './connection.ts';
import { isBusy } from './faults.ts';
import { raiseOne } from './statements.ts';

/** A group is flushed at this many batches even if more wait, so that one flush never holds the event loop for long. */
const GROUP_BATCHES_MAX = 512;
/** ... or at about this many bytes of rows. */
const GROUP_BYTES_MAX = 8 * 1024 * 1024;
/**
 * How long a commit waits for as many companions as the last group had. A flush of the disk costs more than this, so
 * sixteen uploaders end up sharing one flush; one alone never waits, because its last group was of one.
 */
const COMPANY_WAIT_MS_MAX = 0.4;
/** How long a commit waits for another process (a backup, the operator's CLI) before it is a fault. */
const BUSY_WAIT_MS_MAX = 10_000;
const BUSY_RETRY_MS = 15;
/** A touch is durable within this. */
const TOUCH_DELAY_MS = 800;
/** Distinct rows touched before they are written out early. */
const TOUCHES_MAX = 10_000;

interface Pending {
  writes: readonly Write[];
  resolve(outcome: CommitOutcome): void;
  reject(error: unknown): void;
}

interface Touch {
  table: TableName;
  key: string;
  column: string;
  value: number;
}

/**
 * Collects the batches of one turn of the event loop and runs them as one transaction, so that they share one flush
 * of the disk. Each batch stands alone inside it: one that is refused or malformed leaves the others untouched.
 */
export class GroupCommit {
  readonly #db: SqliteConnection;
  #waiting: Pending[] = [];
  #touches = new Map<string, Touch>();
  #touchTimer: NodeJS.Timeout | null = null;
  #scheduled = false;
  /** How many batches the last group had: as many are likely to come again. */
  #lastGroup = 0;
  #waitingSinceMs = 0;
  #busySinceMs: number | null = null;
  #idle: (() => void)[] = [];

  constructor(db: SqliteConnection) {
    this.#db = db;
  }

  commit(writes: readonly Write[]): Promise<CommitOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes, resolve, reject });
      this.#schedule();
    });
  }

  touch(touch: Touch): void {
    const name = `${touch.table} ${touch.column} ${touch.key}`;
    const before = this.#touches.get(name);
    if (before !== undefined && before.value >= touch.value) return;
    this.#touches.set(name, touch);
    if (this.#touches.size >= TOUCHES_MAX) this.#schedule();
    this.#touchTimer ??= setTimeout(() => this.#schedule(), TOUCH_DELAY_MS).unref();
  }

  /** Resolves when nothing waits any more: every batch has its answer and every touch is written or lost to a fault. */
  async drain(): Promise<void> {
    if (this.#waiting.length === 0 && this.#touches.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#waitingSinceMs = performance.now();
    // After the poll phase: everything that arrived in this turn is in the group.
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    const waitedMs = performance.now() - this.#waitingSinceMs;
    if (this.#waiting.length < this.#lastGroup && waitedMs < COMPANY_WAIT_MS_MAX && this.#idle.length === 0) {
      setImmediate(() => this.#flush());
      return;
    }
    this.#scheduled = false;
    const group = this.#takeGroup();
    this.#lastGroup = group.length;
    const touches = [...this.#touches.values()];
    try {
      this.#run(group, touches);
      this.#busySinceMs = null;
      this.#clearTouches(touches);
    } catch (error) {
      if (isBusy(error) && this.#waitForOther(group)) return;
      this.#failed(group, touches, error);
    }
    if (this.#waiting.length > 0) this.#schedule();
    else for (const resolve of this.#idle.splice(0)) resolve();
  }

  #takeGroup(): Pending[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length && count < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX) {
      bytes += roughBytes(this.#waiting[count]?.writes ?? []);
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** One transaction. Throws before any promise was settled if it could not be committed as a whole. */
  #run(group: readonly Pending[], touches: readonly Touch[]): void {
    const db = this.#db;
    const settle: (() => void)[] = [];
    db.exec('BEGIN IMMEDIATE');
    try {
      for (const { writes, resolve, reject } of group) {
        try {
          const outcome = applyBatch(db, writes);
          settle.push(() => resolve(outcome));
        } catch (error) {
          // Malformed: only this batch. A fault of SQLite's: the transaction may be gone, so the group is tried singly.
          if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
          settle.push(() => reject(error));
        }
      }
      for (const { table, key, column, value } of touches)
        db.run(raiseOne(tableOf(table), column), [value, key, value]);
      db.exec('COMMIT');
    } catch (error) {
      const fault = db.fault(error);
      try {
        if (db.isTransaction) db.exec('ROLLBACK');
      } catch (second) {
        db.fault(second);
      }
      throw isBusy(error) ? error : fault;
    }
    for (const done of settle) done();
  }

  /** Puts the group back to wait for the other process; false when it has waited long enough. */
  #waitForOther(group: readonly Pending[]): boolean {
    const nowMs = performance.now();
    this.#busySinceMs ??= nowMs;
    if (nowMs - this.#busySinceMs > BUSY_WAIT_MS_MAX) return false;
    this.#waiting.unshift(...group);
    this.#scheduled = true;
    setTimeout(() => this.#flush(), BUSY_RETRY_MS);
    return true;
  }

  /** Each batch for itself: on a full disk a small one, or one that deletes, may still find room. */
  #failed(group: readonly Pending[], touches: readonly Touch[], error: unknown): void {
    this.#busySinceMs = null;
    // A touch may be lost; holding on to it would fail the next commit, too.
    this.#clearTouches(touches);
    const fault = this.#db.fault(error);
    if (group.length === 1 && touches.length === 0) {
      group[0]?.reject(fault);
      return;
    }
    const hopeless = fault instanceof StorageUnavailableError;
    for (const pending of group) {
      if (hopeless) {
        pending.reject(fault);
        continue;
      }
      try {
        this.#run([pending], []);
      } catch (own) {
        pending.reject(this.#db.fault(own));
      }
    }
  }

  #clearTouches(written: readonly Touch[]): void {
    for (const touch of written) {
      const name = `${touch.table} ${touch.column} ${touch.key}`;
      if (this.#touches.get(name) === touch) this.#touches.delete(name);
    }
    if (this.#touchTimer !== null) clearTimeout(this.#touchTimer);
    this.#touchTimer = null;
  }
}

function roughBytes(writes: readonly Write[]): number {
  let bytes = 0;
  for (const write of writes) {
    bytes += 512;
    if ('row' in write && 'bytes' in write.row) bytes += write.row.bytes.byteLength;
  }
  return bytes;
}
