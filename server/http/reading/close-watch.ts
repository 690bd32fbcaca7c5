import type { Socket } from 'node:net';
import type { ReadEnding } from '../../usecases/read/record-ending.ts';
import { endsOf, type SocketState, socketState } from './socket-state.ts';

/** First and longest pause between two looks at a connection whose bytes are still in flight. */
const LOOK_MS_MIN = 2;
const LOOK_MS_MAX = 250;

/** `_parent`: under TLS, the TCP socket below. */
type HeldSocket = Socket & { destroySoon(): void; _parent?: Socket | null };

export interface VerdictLimits {
  /** How long the client may take to close first, once it has everything. */
  lingerMs: number;
  /** How long bytes in flight may go without being taken. */
  stallMs: number;
}

/**
 * Finds out how a client closes the connection behind a plain GET. Proof of delivery is: the last byte was given to
 * the socket, then the client closed in order, and (where the system tells) its side had confirmed every byte.
 * A client that was killed, or closed with bytes unread, is seen as a reset; one that closed while bytes were still in
 * flight has not confirmed them, and resets when they arrive. Node's `finish` proves nothing, and Node ends or
 * destroys the socket right behind it, which would throw the evidence away: so the socket is held.
 */
export class CloseWatch {
  readonly #socket: HeldSocket;
  readonly #lastByteWritten: () => boolean;
  readonly #look: () => Promise<SocketState>;
  readonly #heldEnd: Socket['end'];
  readonly #heldDestroySoon: () => void;
  #seen: 'open' | 'orderly' | 'early' | 'gone' = 'open';
  #wake: () => void = () => {};
  #onOrderly: () => void = () => {};

  /** `lastByteWritten`: whether the answer's last byte has been given to the socket. */
  constructor(socket: Socket, lastByteWritten: () => boolean, look = socketState) {
    this.#socket = socket as HeldSocket;
    this.#lastByteWritten = lastByteWritten;
    const ends = endsOf(socket);
    this.#look = () => look(ends);
    this.#heldEnd = socket.end;
    this.#heldDestroySoon = this.#socket.destroySoon;
    this.#socket.destroySoon = () => {};
    this.#socket.end = () => socket;
    // Under TLS Node answers a client's close by itself, and then there is nothing left to look at.
    for (const layer of [socket, this.#socket._parent]) if (layer) layer.allowHalfOpen = true;
    this.#socket.once('end', () => this.#see(this.#lastByteWritten() ? 'orderly' : 'early'));
    this.#socket.once('error', () => this.#see('gone'));
    this.#socket.once('close', () => this.#seen === 'open' && this.#see('gone'));
  }

  /** Calls back once when the client has closed in order behind the whole answer. */
  onOrderly(callback: () => void): void {
    this.#onOrderly = callback;
  }

  /**
   * Waits for the client to close and says what that proves. One that waits for us instead gets our close after
   * `lingerMs`, and its own close behind that still counts. A client that half-closed before it had everything cannot
   * prove anything by closing: `broken`, whatever it got.
   */
  async verdict(limits: VerdictLimits): Promise<ReadEnding> {
    if (this.#seen === 'open') await this.#closedWithin(limits);
    if (this.#seen === 'open') {
      const before = await this.#look();
      this.#ourEnd();
      await this.#closedWithin(limits);
      // Everything was confirmed before we closed; with both sides closed there may be nothing left to look at.
      if (this.#isOrderly() && before.kind === 'known' && before.unackedBytes === 0) return 'proven';
    }
    return this.#isOrderly() && (await this.#confirmed(limits)) ? 'proven' : 'broken';
  }

  #isOrderly(): boolean {
    return this.#seen === 'orderly';
  }

  /** Gives the socket back: it ends, and is destroyed behind that. */
  release(): void {
    this.#socket.end = this.#heldEnd;
    this.#socket.destroySoon = this.#heldDestroySoon;
    if (!this.#socket.destroyed) this.#socket.end(() => this.#socket.destroy());
  }

  #see(what: 'orderly' | 'early' | 'gone'): void {
    // A reset behind an orderly close takes the proof back; what `verdict` has already answered stays.
    if (this.#seen === 'open' || what === 'gone') this.#seen = what;
    if (this.#seen === 'orderly') this.#onOrderly();
    this.#wake();
  }

  #ourEnd(): void {
    (this.#heldEnd as () => void).call(this.#socket);
  }

  /** Waits until the client closes; `lingerMs` counts only while nothing of the answer is in flight any more. */
  async #closedWithin({ lingerMs, stallMs }: VerdictLimits): Promise<void> {
    const flight = new Flight(stallMs);
    for (;;) {
      await this.#pause(lingerMs);
      if (this.#seen !== 'open') return;
      const state = await this.#look();
      if (this.#seen !== 'open' || state.kind !== 'known' || !flight.moves(state.unackedBytes)) return;
    }
  }

  /** Whether the client's side had confirmed every byte when it closed. */
  async #confirmed({ lingerMs, stallMs }: VerdictLimits): Promise<boolean> {
    const flight = new Flight(stallMs);
    let pauseMs = LOOK_MS_MIN;
    let openMs = 0;
    let ended = false;
    for (;;) {
      const state = await this.#look();
      if (state.kind === 'unknown') return this.#seen === 'orderly';
      if (state.kind === 'gone') return false;
      if (state.unackedBytes === 0) {
        // TLS says goodbye before TCP does. Where TCP stays open (the client waits for ours), the goodbye must do.
        if (state.peerClosed || openMs >= lingerMs) return true;
        // Not at once: where the client's close is only a moment behind, ours would be answered by a reset.
        if (openMs >= Math.min(LOOK_MS_MAX, lingerMs / 2) && !ended) {
          ended = true;
          this.#ourEnd();
        }
        openMs += pauseMs;
      } else if (!flight.moves(state.unackedBytes)) return false;
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LOOK_MS_MAX);
    }
  }

  /** Resolves after `ms`, or sooner when something is seen. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Bytes in flight: moving as long as they become fewer, given up when they have not for `stallMs`. */
class Flight {
  #least = Number.POSITIVE_INFINITY;
  #sinceMs = performance.now();
  readonly #stallMs: number;

  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  moves(unackedBytes: number): boolean {
    if (unackedBytes === 0) return false;
    if (unackedBytes < this.#least) {
      this.#least = unackedBytes;
      this.#sinceMs = performance.now();
    }
    return performance.now() - this.#sinceMs < this.#stallMs;
  }
}
