import {
  type BlobStore,
  type Clock,
  type CommitOutcome,
  type Crypto,
  createRelay,
  type MetadataStore,
  type Random,
  type Relay,
  type Write,
} from '#server';
import type { Chance } from '../kernel/chance.ts';
import type { Kernel } from '../kernel/kernel.ts';

export interface NodeFaults {
  /** Statements of different requests are interleaved: each takes up to so many ms. 0: none waits. */
  statementMsMax: number;
  /** Keys younger than this may not be seen yet. 0: all are. */
  authLagMs: number;
}

export interface NodeOptions {
  kernel: Kernel;
  chance: Chance;
  store: MetadataStore;
  blobs: BlobStore;
  clock: Clock;
  random: Random;
  crypto: Crypto | undefined;
  secret: Uint8Array;
  /** No other node works on the store. */
  alone: boolean;
  faults: NodeFaults;
  warn(message: string, error: unknown): void;
  /** What is planted in the store of this node, if anything. */
  planted(store: MetadataStore): MetadataStore;
}

/** One life of one server process. After its death its requests never end: whoever waits for them is told by the network. */
export class ServerNode {
  readonly relay: Relay;
  readonly #options: NodeOptions;
  #alive = true;
  /** Statements until it dies; −1: it lives. */
  #statementsLeft = -1;
  #dyingAfter = false;
  /** Told once, when it has died in the middle of a statement. */
  onDeath: (() => void) | null = null;

  constructor(options: NodeOptions) {
    this.#options = options;
    const store = options.planted(this.#between(options.store));
    const { clock, random, crypto, secret, blobs, warn, alone } = options;
    this.relay = createRelay({
      clock,
      random,
      secret,
      warn,
      store,
      blobs,
      alone,
      ...(crypto === undefined ? {} : { crypto }),
    });
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** It will die at the n-th statement from now, before or after it has taken effect. */
  dieAt(statements: number, after: boolean): void {
    this.#statementsLeft = statements;
    this.#dyingAfter = after;
  }

  die(): void {
    this.#alive = false;
  }

  /** The store as this process reaches it: every statement is a place to wait and to die. */
  #between(store: MetadataStore): MetadataStore {
    const step = <T>(statement: () => Promise<T>): Promise<T> => this.#statement(statement);
    return {
      get: (table, where) => step(() => this.#seen(where, store.get(table, where), (found) => found)),
      getBeside: (table, where, beside) =>
        step(() => this.#seen(where, store.getBeside(table, where, beside), (found) => found?.row)),
      list: (table, query) => step(() => store.list(table, query)),
      count: (table, query) => step(() => store.count(table, query)),
      commit: (writes: readonly Write[]): Promise<CommitOutcome> => step(() => store.commit(writes)),
      touch: (table, key, column, value) => {
        if (this.#alive) store.touch(table, key, column, value);
      },
      check: () => step(() => store.check()),
      close: () => Promise.resolve(),
    };
  }

  /** A replica that lags: a key stored a moment ago is not found by its hash yet. */
  async #seen<T>(where: object, asked: Promise<T>, rowOf: (found: T) => unknown): Promise<T> {
    const { authLagMs } = this.#options.faults;
    if (authLagMs === 0 || !('hash' in where)) return asked;
    const found = await asked;
    const key = rowOf(found) as { created_at_ms?: number } | null | undefined;
    const ageMs = this.#options.clock.nowMs() - (key?.created_at_ms ?? 0);
    const hidden = key !== null && key !== undefined && ageMs < authLagMs && this.#options.chance.yes(0.5);
    return hidden ? (null as T) : found;
  }

  #statement<T>(statement: () => Promise<T>): Promise<T> {
    if (!this.#alive) return forever();
    if (this.#statementsLeft > 0) this.#statementsLeft--;
    if (this.#statementsLeft === 0) {
      this.#alive = false;
      this.onDeath?.();
      if (this.#dyingAfter) void statement();
      return forever();
    }
    const { kernel, chance, faults } = this.#options;
    if (faults.statementMsMax === 0) return statement();
    return new Promise((resolve, reject) => {
      kernel.after(chance.below(faults.statementMsMax), () => {
        kernel.busy = true;
        if (this.#alive) statement().then(resolve, reject);
      });
    });
  }
}

function forever<T>(): Promise<T> {
  return new Promise<T>(() => {});
}
