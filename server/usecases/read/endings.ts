import type { TransferId } from '../../domain/ids.ts';
import { OpenReads } from './open-reads.ts';

/**
 * Reads of this process that are being recorded as ended right now. Whoever asks for the same link waits these few
 * milliseconds, so that a second `curl` right behind the first is told "already read" and not "being read".
 */
export class Endings {
  /** Reads of this process that are still under way. */
  readonly open = new OpenReads();
  readonly #pending = new Map<TransferId, Set<Promise<unknown>>>();

  /** Makes `settled(id)` wait for `ending`. */
  track<T>(id: TransferId, ending: Promise<T>): Promise<T> {
    const set = this.#pending.get(id) ?? new Set();
    this.#pending.set(id, set);
    const tracked = ending.finally(() => {
      set.delete(tracked);
      if (set.size === 0) this.#pending.delete(id);
    });
    set.add(tracked);
    return tracked;
  }

  /** Resolves when no ending of this transfer is under way. */
  async settled(id: TransferId): Promise<void> {
    const set = this.#pending.get(id);
    if (set !== undefined) await Promise.allSettled([...set]);
  }

  /** Resolves when the end of every read of this process is recorded: before the stores may be closed. */
  async recorded(): Promise<void> {
    await this.open.allEnded();
    for (const set of [...this.#pending.values()]) await Promise.allSettled([...set]);
  }
}
