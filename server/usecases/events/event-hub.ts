import { EVENT_STREAMS_PER_ACCOUNT_MAX } from '#sdk/protocol';
import type { AccountId } from '../../domain/ids.ts';
import type { MetadataStore, Write } from '../../ports/metadata-store.ts';
import { FuselinkError } from '../error.ts';
import { AccountFeed } from './account-feed.ts';

/** Streams one node carries for all accounts: each is a socket and a few kilobytes. */
export const EVENT_STREAMS_PER_NODE_MAX = 4_096;
const RETRY_SECONDS = 30;

interface Followed {
  feed: AccountFeed;
  listeners: number;
}

/** One stream's part in a feed. */
export interface Listening {
  feed: AccountFeed;
  /** The listener has left, or the node is stopping: say nothing more. */
  readonly over: boolean;
  /** Resolves with the next news of the feed, or with `nudge`. */
  news(): Promise<'news' | 'nudged'>;
  /** Makes a stream that waits look at its credential and say its place. */
  nudge(): void;
  /** Must be called, however the stream ends; more than once does no harm. */
  leave(): void;
}

/**
 * Who listens to which account's events in this process. What happened on this node wakes its listeners at once; what other
 * nodes (or the operator's command line) committed is found by `poll`, which whoever owns the timers calls.
 */
export class EventHub {
  readonly #followed = new Map<AccountId, Followed>();
  #streams = 0;
  #closed = false;

  get streams(): number {
    return this.#streams;
  }

  /** Accounts with a listener: none once everybody has left. */
  get accounts(): number {
    return this.#followed.size;
  }

  /** A place among the account's listeners. Throws `event_streams_exceeded`, `event_streams_full` or `shutting_down`. */
  listen(store: MetadataStore, accountId: AccountId): Listening {
    if (this.#closed) throw new FuselinkError('shutting_down', 'This node is stopping: come back to another one.');
    const followed = this.#followed.get(accountId) ?? { feed: new AccountFeed(store, accountId), listeners: 0 };
    if (followed.listeners >= EVENT_STREAMS_PER_ACCOUNT_MAX) {
      throw new FuselinkError(
        'event_streams_exceeded',
        `Expected at most ${EVENT_STREAMS_PER_ACCOUNT_MAX} event streams of the account at a time, got one more. Close one.`,
        { retryAfterSeconds: RETRY_SECONDS },
      );
    }
    if (this.#streams >= EVENT_STREAMS_PER_NODE_MAX) {
      throw new FuselinkError(
        'event_streams_full',
        `This node carries ${EVENT_STREAMS_PER_NODE_MAX} event streams already.`,
        { retryAfterSeconds: RETRY_SECONDS },
      );
    }
    this.#followed.set(accountId, followed);
    followed.listeners++;
    this.#streams++;
    const { feed } = followed;
    const isClosed = () => this.#closed;
    let left = false;
    let wakeUp: (() => void) | null = null;
    const nudge = () => wakeUp?.();
    return {
      feed,
      get over() {
        return left || isClosed();
      },
      nudge,
      news: () =>
        new Promise((resolve) => {
          const callOff = feed.onNews(() => resolve('news'));
          wakeUp = () => {
            callOff();
            resolve('nudged');
          };
        }),
      leave: () => {
        if (left) return;
        left = true;
        this.#streams--;
        followed.listeners--;
        if (followed.listeners === 0) this.#followed.delete(accountId);
        nudge();
      },
    };
  }

  /** Looks for what other processes have committed. A fault is the next poll's to find again. */
  async poll(): Promise<void> {
    await Promise.allSettled([...this.#followed.values()].map(({ feed }) => feed.look()));
  }

  /** These writes were committed on this node. */
  committed(writes: readonly Write[]): void {
    if (this.#streams === 0) return;
    for (const write of writes) {
      if (write.kind === 'audit')
        this.#followed
          .get(write.entry.chain as AccountId)
          ?.feed.look()
          .catch(() => undefined);
    }
  }

  /** Ends every stream, and refuses new ones. */
  close(): void {
    this.#closed = true;
    for (const { feed } of this.#followed.values()) feed.wake();
  }
}
