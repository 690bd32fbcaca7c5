import type { CommitOutcome, Write } from '../../ports/metadata-store.ts';
import { asFault, isLost } from './faults.ts';
import type { Statement } from './statements.ts';

/** One write of a batch and its place there. */
export interface Step {
  write: Write;
  index: number;
  statement: Statement;
}

/** Transactions under way at once; what arrives beyond them waits and shares the next one. */
const TRANSACTIONS_AT_ONCE = 6;
/** Batches that share a transaction: one that is refused makes all of them run again alone. */
const GROUP_BATCHES_MAX = 24;

interface Pending {
  steps: readonly Step[];
  resolve(outcome: CommitOutcome): void;
  reject(error: unknown): void;
}

/**
 * Lets batches that wait at the same moment share one transaction, and so one flush and one lock of the account's audit
 * chain, which all of an account's batches append to. The shared transaction is an attempt: where any write of it does
 * not hold, nothing of it is done and each batch runs by itself.
 */
export class GroupCommit {
  readonly #run: (steps: readonly Step[]) => Promise<CommitOutcome>;
  readonly #runUntilClear: (steps: readonly Step[]) => Promise<CommitOutcome>;
  #waiting: Pending[] = [];
  #running = new Set<Promise<void>>();

  constructor(options: {
    /** One transaction. Throws the driver's error where its outcome is none. */
    run: (steps: readonly Step[]) => Promise<CommitOutcome>;
    /** As `run`, again and again while it collides with others; throws the port's faults. */
    runUntilClear: (steps: readonly Step[]) => Promise<CommitOutcome>;
  }) {
    this.#run = options.run;
    this.#runUntilClear = options.runUntilClear;
  }

  commit(steps: readonly Step[]): Promise<CommitOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ steps, resolve, reject });
      this.#pump();
    });
  }

  /** Resolves when every batch has its answer. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #pump(): void {
    while (this.#running.size < TRANSACTIONS_AT_ONCE && this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, GROUP_BATCHES_MAX);
      const running: Promise<void> = this.#settle(group).then(() => {
        this.#running.delete(running);
        this.#pump();
      });
      this.#running.add(running);
    }
  }

  async #settle(group: readonly Pending[]): Promise<void> {
    if (group.length > 1) {
      try {
        const outcome = await this.#run(group.flatMap(({ steps }) => steps));
        if (outcome.ok) {
          for (const { resolve } of group) resolve(outcome);
          return;
        }
      } catch (error) {
        if (isLost(error)) {
          // What became of the transaction is not known: running any of it again could do it twice.
          const fault = asFault(error);
          for (const { reject } of group) reject(fault);
          return;
        }
      }
    }
    await Promise.all(group.map(({ steps, resolve, reject }) => this.#runUntilClear(steps).then(resolve, reject)));
  }
}
