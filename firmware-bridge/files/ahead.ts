import { freshKey, type LinkAnswer } from '#sdk/core';
import type { AheadAnswer } from '../uplink/device-uploader.ts';

/** Where a file's upload stands: what its sending is resumed from. */
export interface UploadPlace {
  /** The tus resource; null: not begun, as far as is known here. */
  location: string | null;
  /** How often it was begun anew under another key. */
  restarts: number;
}

export interface AheadOptions {
  idempotencyKey: string;
  aheadBytes: number;
  aheadMs: number;
  place: UploadPlace;
  remember(place: UploadPlace): Promise<void>;
  /** One request about this upload. Rejects where there was no answer. */
  ask(request: {
    kind: 'create' | 'probe' | 'patch' | 'remove';
    idempotencyKey: string;
    location: string | null;
    offset: number;
    bytes?: Uint8Array;
    signal: AbortSignal;
  }): Promise<AheadAnswer>;
  /** The file as far as it is here without a gap. */
  ready(): number;
  read(from: number, bytes: number): Promise<Buffer>;
  /** So many bytes are on the server now. */
  moved(offset: number): void;
  nowMs?: () => number;
}

export type Standing =
  | { state: 'begun'; offset: number }
  /** All of it is there; the link is null where it has been read or burned already. */
  | { state: 'stored'; id: string; link: LinkAnswer | null }
  /** Nobody can say now. */
  | { state: 'away' };

/** A device waits for the answer to its manifest as long. */
const LOOK_MS = 2000;
const PUSH_MS = 60_000;
const PUSH_BYTES_MAX = 4_194_304;
const RESTARTS_MAX = 5;
const PAUSE_MS_MAX = 300_000;
const AWAY: Standing = { state: 'away' };

/**
 * Sends the beginning of a file on while the rest is still coming: as one resumable upload whose Idempotency-Key follows
 * from device and file. So the server is where the next gateway learns what need not be sent again. It is only ever ahead
 * of the sending that ends the upload: where it cannot go on it waits, and nothing depends on it.
 */
export class Ahead {
  readonly #options: AheadOptions;
  readonly #nowMs: () => number;
  #place: UploadPlace;
  #offset: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pushing: Promise<void> | null = null;
  #looking: Promise<Standing> | null = null;
  #failures = 0;
  #notBeforeMs = 0;
  #closed = false;
  readonly #end = new AbortController();

  constructor(options: AheadOptions) {
    this.#options = options;
    this.#place = options.place;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  get place(): UploadPlace {
    return this.#place;
  }

  /** What the server has of it; begins the upload where there is none. Never rejects. */
  look(): Promise<Standing> {
    this.#looking ??= this.#look()
      .catch(() => this.#failed())
      .finally(() => {
        this.#looking = null;
      });
    return this.#looking;
  }

  /** More of the file is here. */
  came(): void {
    if (this.#closed || this.#pushing !== null || this.#nowMs() < this.#notBeforeMs) return;
    const { aheadBytes, aheadMs, ready } = this.#options;
    if (ready() - (this.#offset ?? 0) >= aheadBytes) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), aheadMs);
  }

  /** Nothing more goes ahead. Resolves when nothing is under way. */
  async stop(): Promise<UploadPlace> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
    await this.#pushing;
    return this.#place;
  }

  /** The gateway ends: what is under way is not waited for. */
  close(): Promise<unknown> {
    this.#end.abort();
    return this.stop();
  }

  /** The file is none: what was sent of it goes. What cannot be taken back now ends by itself. */
  async giveUp(): Promise<void> {
    const { location } = await this.stop();
    if (location !== null) await this.#ask('remove', 0).catch(() => null);
  }

  async #look(): Promise<Standing> {
    for (let tries = 0; tries <= RESTARTS_MAX && !this.#closed; tries++) {
      if (this.#place.location === null) {
        const begun = await this.#ask('create', 0);
        if (begun.location !== null) await this.#be({ ...this.#place, location: begun.location });
        else if (begun.ended !== null) return { state: 'stored', id: begun.ended, link: null };
        else if (begun.status === 410) await this.#be({ location: null, restarts: this.#place.restarts + 1 });
        else return this.#failed();
        continue;
      }
      const { status, offsetBytes, link } = await this.#ask('probe', 0);
      if (link !== null) return { state: 'stored', id: link.id, link };
      if (offsetBytes !== null) {
        this.#failures = 0;
        this.#at(offsetBytes);
        return { state: 'begun', offset: offsetBytes };
      }
      // Gone: whether under this key there is another, or was one, the next question tells.
      if (status === 404 || status === 410) await this.#be({ ...this.#place, location: null });
      else return this.#failed();
    }
    return AWAY;
  }

  #begin(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#closed || this.#pushing !== null) return;
    this.#pushing = this.#push()
      .catch(() => void this.#failed())
      .finally(() => {
        this.#pushing = null;
        if ((this.#offset ?? 0) < this.#options.ready()) this.came();
      });
  }

  async #push(): Promise<void> {
    if (this.#offset === null && (await this.look()).state !== 'begun') return;
    const from = this.#offset ?? 0;
    const bytes = Math.min(this.#options.ready() - from, PUSH_BYTES_MAX);
    if (bytes <= 0 || this.#closed) return;
    const answer = await this.#ask('patch', from, await this.#options.read(from, bytes));
    if (answer.offsetBytes !== null) {
      this.#failures = 0;
      this.#at(answer.offsetBytes);
      return;
    }
    // Elsewhere than was thought, or gone: looked at anew before the next.
    this.#offset = null;
    this.#failed();
  }

  #at(offset: number): void {
    this.#offset = offset;
    this.#options.moved(offset);
  }

  #failed(): Standing {
    const { aheadMs } = this.#options;
    this.#notBeforeMs = this.#nowMs() + Math.min(PAUSE_MS_MAX, aheadMs * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    return AWAY;
  }

  async #be(place: UploadPlace): Promise<void> {
    this.#place = place;
    await this.#options.remember(place);
  }

  #ask(kind: 'create' | 'probe' | 'patch' | 'remove', offset: number, bytes?: Uint8Array): Promise<AheadAnswer> {
    const { location, restarts } = this.#place;
    const idempotencyKey = freshKey(this.#options.idempotencyKey, restarts);
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(kind === 'patch' ? PUSH_MS : LOOK_MS)]);
    return this.#options.ask({
      ...{ kind, idempotencyKey, location, offset, signal },
      ...(bytes === undefined ? {} : { bytes }),
    });
  }
}
