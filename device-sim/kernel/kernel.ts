import { type Happening, HappeningHeap } from './heap.ts';
import { TraceHash } from './trace-hash.ts';
import { armTraps } from './traps.ts';

/** Happenings between two looks at the world outside (progress, an interrupt). */
const SLICE = 20_000;

/**
 * Virtual time. One happening after the other, each to its end: what it starts in promises is let run out before the
 * next. Nothing else moves the clock.
 */
export class Kernel {
  readonly #heap = new HappeningHeap();
  readonly trace = new TraceHash();
  #nowMs: number;
  #order = 0;
  /** Happenings that were run: timers that fired, messages that arrived, statements that went on. */
  events = 0;
  /** Set by whoever leaves a promise to be run out. */
  busy = false;

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Happening {
    const item: Happening = { atMs: this.#nowMs + Math.max(0, Math.floor(delayMs)), order: this.#order++, run };
    this.#heap.push(item);
    return item;
  }

  /**
   * Runs until the virtual time `untilMs`, until nothing is left to happen, or until `enough` says so (asked after every
   * happening). Real clocks, timers, sockets and chance throw meanwhile; between slices `breathe` is called with
   * them in place.
   */
  async run(untilMs: number, enough: () => boolean, breathe: () => Promise<void> | void): Promise<void> {
    for (;;) {
      const disarm = armTraps();
      let over: boolean;
      try {
        over = await this.#slice(untilMs, enough);
      } finally {
        disarm();
      }
      if (over) return;
      await breathe();
    }
  }

  async #slice(untilMs: number, enough: () => boolean): Promise<boolean> {
    for (let i = 0; i < SLICE; ) {
      const next = this.#heap.peek();
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return true;
      }
      this.#heap.pop();
      const { run } = next;
      if (run === null) continue;
      this.#nowMs = next.atMs;
      this.events++;
      i++;
      run();
      if (this.busy) {
        this.busy = false;
        await settled();
      }
      if (enough()) return true;
    }
    return false;
  }

  /** Outside of `run`: a step of set-up, run out to its end under the traps. */
  async still<T>(work: () => Promise<T>): Promise<T> {
    const disarm = armTraps();
    try {
      return await work();
    } finally {
      disarm();
    }
  }
}

/**
 * Resolves when every promise that can go on without the outside has: Node takes the next tick only when its queue of
 * microtasks is empty. No timer, and no turn of the event loop.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
