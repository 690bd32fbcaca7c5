import type { Subject } from '../../domain/ids.ts';

/** The part of an AbortSignal that pure code needs. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  /** Calls back once, at the abort; at once where it has happened. */
  onAbort(listener: () => void): void;
}

/** A resumable upload that one request works on alone. */
export interface Hold {
  /** Says that a newer request wants the upload. */
  signal: AbortSignalLike;
  /** Must be called, however the work ends; more than once does no harm. */
  release(): void;
}

/** One upload whose body is being received: it takes memory and a socket. */
export interface Place {
  /** Must be called, however the upload ends; more than once does no harm. */
  release(): void;
}

/** `new`: counts against the window when it is accepted. `resumed`: goes on with what was counted already. */
export type PlaceKind = 'new' | 'resumed';

interface Places {
  new: number;
  resumed: number;
  waiting: number;
  /** Resolves with the next release, and is replaced then. */
  nextEnd: Promise<void>;
  announceEnd: () => void;
}

/**
 * Uploads under way in this process: how many places each subject has taken, and which request works on which
 * resumable upload. A newer request takes an upload over from the older one, whose peer is most likely gone.
 */
export class ActiveUploads {
  readonly #places = new Map<Subject, Places>();
  readonly #holders = new Map<string, { abort(): void; ended: Promise<void> }>();

  /** Uploads under way for all subjects: what a graceful stop waits for. */
  get total(): number {
    let sum = 0;
    for (const places of this.#places.values()) sum += places.new + places.resumed;
    return sum;
  }

  /** Subjects and holders remembered: none once everything has ended. */
  get remembered(): number {
    return this.#places.size + this.#holders.size;
  }

  /** Uploads of the subject whose bodies are being received. */
  count(subject: Subject): number {
    const places = this.#places.get(subject);
    return places === undefined ? 0 : places.new + places.resumed;
  }

  /** Requests of the subject that wait for a place. */
  waiting(subject: Subject): number {
    return this.#places.get(subject)?.waiting ?? 0;
  }

  /** Who is sending or waiting now, for metrics. */
  *subjects(): Generator<{ subject: Subject; underWay: number; waiting: number }> {
    for (const [subject, { waiting }] of this.#places) yield { subject, underWay: this.count(subject), waiting };
  }

  /** A place, or null where `max` in all, or `newMax` of those that will count, are taken. */
  tryPlace(subject: Subject, kind: PlaceKind, limits: { max: number; newMax: number }): Place | null {
    const taken = this.#placesOf(subject);
    const full = taken.new + taken.resumed >= limits.max || (kind === 'new' && taken.new >= limits.newMax);
    if (full) {
      this.#forgetIfIdle(subject, taken);
      return null;
    }
    taken[kind]++;
    let over = false;
    return {
      release: () => {
        if (over) return;
        over = true;
        taken[kind]--;
        const { announceEnd } = taken;
        Object.assign(taken, nextEnd());
        announceEnd();
        this.#forgetIfIdle(subject, taken);
      },
    };
  }

  /** Waits until one of the subject's uploads ends, or `patience` resolves: then `over`. */
  async placeMayBeFree(subject: Subject, patience: Promise<void>): Promise<'ended' | 'over'> {
    const taken = this.#placesOf(subject);
    taken.waiting++;
    try {
      return await Promise.race([taken.nextEnd.then(() => 'ended' as const), patience.then(() => 'over' as const)]);
    } finally {
      taken.waiting--;
      this.#forgetIfIdle(subject, taken);
    }
  }

  /** Takes the named upload, first telling whoever holds it to stop and waiting until it has. */
  async hold(name: string): Promise<Hold> {
    for (let holder = this.#holders.get(name); holder !== undefined; holder = this.#holders.get(name)) {
      holder.abort();
      await holder.ended;
    }
    const signal = new Signal();
    let end: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const holder = { abort: () => signal.abort(), ended };
    this.#holders.set(name, holder);
    return {
      signal,
      release: () => {
        if (this.#holders.get(name) === holder) this.#holders.delete(name);
        end();
      },
    };
  }

  #placesOf(subject: Subject): Places {
    let places = this.#places.get(subject);
    if (places === undefined) {
      places = { new: 0, resumed: 0, waiting: 0, ...nextEnd() };
      this.#places.set(subject, places);
    }
    return places;
  }

  #forgetIfIdle(subject: Subject, places: Places): void {
    if (places.new + places.resumed + places.waiting > 0) return;
    if (this.#places.get(subject) === places) this.#places.delete(subject);
  }
}

function nextEnd(): Pick<Places, 'nextEnd' | 'announceEnd'> {
  let announceEnd: () => void = () => {};
  const promise = new Promise<void>((resolve) => {
    announceEnd = resolve;
  });
  return { nextEnd: promise, announceEnd };
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
