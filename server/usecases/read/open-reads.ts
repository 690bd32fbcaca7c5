import type { TransferId } from '../../domain/ids.ts';
import { addRange, type Ranges } from '../../domain/reading/byte-ranges.ts';

/** A read that has taken nothing for this long is given up when its own reader comes back to go on. */
const IDLE_MS = 1_000;

/** One request for bytes under way in this process. */
export interface OpenReadEntry {
  leaseHash: string;
  from: number;
  /** Bytes handed to the socket so far. */
  handed: number;
  /** Monotonic time at which bytes last moved. */
  movedAtMs: number;
  /** Breaks the request off. */
  cut: () => void;
  /** Resolves when its end is recorded. */
  ended: Promise<void>;
}

/**
 * Reads under way in this process. A connection that died without a word still looks alive for a while; a reader that
 * goes on from where it was must not wait for it, nor have its acknowledgement refused because of it.
 */
export class OpenReads {
  readonly #entries = new Map<TransferId, Set<OpenReadEntry>>();

  add(id: TransferId, entry: OpenReadEntry): void {
    const set = this.#entries.get(id) ?? new Set();
    this.#entries.set(id, set.add(entry));
  }

  remove(id: TransferId, entry: OpenReadEntry): void {
    const set = this.#entries.get(id);
    set?.delete(entry);
    if (set?.size === 0) this.#entries.delete(id);
  }

  /** What requests under way have handed to the holder of this lease. */
  handed(id: TransferId, leaseHash: string | null): Ranges {
    let ranges: Ranges = [];
    for (const entry of this.#entries.get(id) ?? []) {
      if (entry.leaseHash !== leaseHash) continue;
      ranges = addRange(ranges, entry.from, entry.from + entry.handed);
    }
    return ranges;
  }

  /** Breaks off this reader's requests that do not move, and resolves when that is recorded. */
  async preemptIdle(id: TransferId, options: { leaseHash: string; monotonicMs: number }): Promise<void> {
    const idle = [...(this.#entries.get(id) ?? [])].filter(
      (entry) => entry.leaseHash === options.leaseHash && options.monotonicMs - entry.movedAtMs >= IDLE_MS,
    );
    for (const entry of idle) entry.cut();
    await Promise.all(idle.map((entry) => entry.ended));
  }

  /** Resolves when no request is under way any more. None may begin meanwhile. */
  async allEnded(): Promise<void> {
    await Promise.all([...this.#entries.values()].flatMap((set) => [...set].map((entry) => entry.ended)));
  }
}
