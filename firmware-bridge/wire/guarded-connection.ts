import { Duplex } from 'node:stream';
import type { BridgeLimits } from '../limits.ts';
import { PACKET } from './check-packet.ts';
import { PacketReader, type ReadOutcome } from './packet-reader.ts';

export interface ConnectionGuards {
  limits: BridgeLimits;
  /** Why this side ended the connection. */
  refused(reason: string): void;
}

/** Never reached: what a write may wait for is decided by `queueBytesMax`, not by the stream. */
const NEVER_FULL = 2 ** 30;

/**
 * A client's connection as the broker sees it: only whole and allowed packets come in, at no more than the allowed rate,
 * nothing after CONNECT before it was answered, and writing never waits. So one subscriber that does not read cannot hold
 * up the others: what waits for it is bounded, and then it is cut off.
 */
export class GuardedConnection extends Duplex {
  readonly #socket: Duplex;
  readonly #guards: ConnectionGuards;
  readonly #reader: PacketReader;
  readonly #connectTimer: NodeJS.Timeout;
  /** Chunks that came and are not read yet: waiting for CONNACK, for the rate, or for the broker. */
  readonly #waiting: Buffer[] = [];
  #packets: Iterator<ReadOutcome> | null = null;
  #stage: 'connecting' | 'answering' | 'open' = 'connecting';
  #wanted = false;
  #ended = false;
  #tokens: number;
  #tokensAtMs = performance.now();
  #refill: NodeJS.Timeout | null = null;

  constructor(socket: Duplex, guards: ConnectionGuards) {
    super({ allowHalfOpen: false, writableHighWaterMark: NEVER_FULL, decodeStrings: true });
    this.#socket = socket;
    this.#guards = guards;
    this.#reader = new PacketReader(guards.limits);
    this.#tokens = guards.limits.packetsBurst;
    this.#connectTimer = setTimeout(() => {
      if (this.#stage === 'connecting') this.#refuse('CONNECT did not come in time', null);
    }, guards.limits.connectTimeoutMs);
    socket.on('data', (chunk: Buffer) => {
      socket.pause();
      this.#waiting.push(chunk);
      this.#pump();
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#pump();
    });
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#wanted = true;
    this.#pump();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#send([chunk]);
    done();
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(chunks.map(({ chunk }) => chunk));
    done();
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#connectTimer);
    if (this.#refill !== null) clearTimeout(this.#refill);
    this.#waiting.length = 0;
    // What was written last (a CONNACK with a refusal) still goes out; a peer that does not read is not waited for.
    if (!this.#socket.destroyed) {
      this.#socket.end();
      const gone = setTimeout(() => this.#socket.destroy(), 1000);
      this.#socket.once('close', () => clearTimeout(gone));
      this.#socket.resume();
    }
    done(error);
  }

  #send(chunks: Buffer[]): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    for (const chunk of chunks) this.#socket.write(chunk);
    if (this.#stage === 'answering' && chunks.length > 0) {
      // The first thing the broker writes is CONNACK; only then is more of this client let in.
      this.#stage = 'open';
      setImmediate(() => this.#pump());
    }
    if (this.#socket.writableLength > this.#guards.limits.queueBytesMax) {
      this.#guards.refused('it does not read what it is sent');
      this.#socket.destroy();
    }
  }

  #pump(): void {
    if (this.destroyed) return;
    while (this.#wanted && this.#stage !== 'answering' && this.#mayTake()) {
      const packet = this.#next();
      if (packet === null) break;
      if (packet.kind === PACKET.connect) {
        clearTimeout(this.#connectTimer);
        this.#stage = 'answering';
      }
      this.#tokens -= 1;
      this.#wanted = this.push(packet.bytes);
    }
    if (this.destroyed || this.#waiting.length > 0 || this.#packets !== null) return;
    if (this.#ended) this.push(null);
    else if (this.#wanted) this.#socket.resume();
  }

  #next(): { bytes: Buffer; kind: number } | null {
    for (;;) {
      if (this.#packets === null) {
        const chunk = this.#waiting.shift();
        if (chunk === undefined) return null;
        this.#packets = this.#reader.feed(chunk);
      }
      const { done, value } = this.#packets.next();
      if (done === true) {
        this.#packets = null;
        continue;
      }
      if (value.type === 'packet') return value;
      this.#packets = null;
      this.#refuse(value.violation.reason, value.violation.answer);
      return null;
    }
  }

  /** A token for one more packet; without one, goes on when there is. */
  #mayTake(): boolean {
    const { packetsPerSecond, packetsBurst } = this.#guards.limits;
    if (this.#tokens < 1) {
      const nowMs = performance.now();
      this.#tokens = Math.min(packetsBurst, this.#tokens + ((nowMs - this.#tokensAtMs) * packetsPerSecond) / 1000);
      this.#tokensAtMs = nowMs;
    }
    if (this.#tokens >= 1) return true;
    this.#refill ??= setTimeout(
      () => {
        this.#refill = null;
        this.#pump();
      },
      Math.ceil(1000 / packetsPerSecond) + 1,
    );
    return false;
  }

  #refuse(reason: string, answer: Uint8Array | null): void {
    this.#guards.refused(reason);
    if (answer !== null && !this.#socket.destroyed) this.#socket.write(answer);
    this.destroy();
  }
}
