import type { Subject } from '../../domain/ids.ts';

/** One upload this process is receiving. `signal` says that a newer request wants its place. */
export interface ActiveUpload {
  signal: AbortSignalLike;
  /** Must be called once, however it ends. */
  done(): void;
}

/** The part of an AbortSignal that pure code needs. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  onAbort(listener: () => void): void;
}

/**
 * Uploads under way in this process: how many a subject has, and which one holds a name (an upload id, or an
 * idempotency key's hash). A newer request pre-empts the holder, whose peer is most likely gone.
 */
export class ActiveUploads {
  readonly #bySubject = new Map<Subject, number>();
  readonly #byName = new Map<string, { abort(): void; ended: Promise<void> }>();

  count(subject: Subject): number {
    return this.#bySubject.get(subject) ?? 0;
  }

  /** Uploads under way for all subjects: what a graceful stop waits for. */
  get total(): number {
    let sum = 0;
    for (const count of this.#bySubject.values()) sum += count;
    return sum;
  }

  /** Takes a place; where `name` is held, first tells the holder to stop and waits until it has. */
  async begin(subject: Subject, name: string | null): Promise<ActiveUpload> {
    if (name !== null) {
      for (let holder = this.#byName.get(name); holder !== undefined; holder = this.#byName.get(name)) {
        holder.abort();
        await holder.ended;
      }
    }
    this.#bySubject.set(subject, this.count(subject) + 1);
    const signal = new Signal();
    let release: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      release = resolve;
    });
    if (name !== null) this.#byName.set(name, { abort: () => signal.abort(), ended });
    let over = false;
    return {
      signal,
      done: () => {
        if (over) return;
        over = true;
        const left = this.count(subject) - 1;
        if (left === 0) this.#bySubject.delete(subject);
        else this.#bySubject.set(subject, left);
        if (name !== null) this.#byName.delete(name);
        release();
      },
    };
  }
}

class Signal implements AbortSignalLike {
  aborted = false;
  #listeners: (() => void)[] = [];

  onAbort(listener: () => void): void {
    if (this.aborted) listener();
    else this.#listeners.push(listener);
  }

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    for (const listener of this.#listeners) listener();
    this.#listeners = [];
  }
}
