import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { OpenRead, ReadEnding } from '../../usecases/read/read-link.ts';

export interface DeliverOptions {
  status: 200 | 206;
  headers: Record<string, string | number>;
  /** Whether the client's orderly close counts as proof (a plain GET, no proxy in between). */
  closeProves: boolean;
  /** How long a finished answer waits for the client to close first. */
  lingerMs: number;
  /** How long a client may take nothing before the read is broken off. */
  stallMs: number;
}

/**
 * Sends a read's bytes and finds out how it ended. What proves delivery to a direct client: `Connection: close`, the
 * last byte, and then the *client* closing first and in order. One that was killed, or closed with bytes unread, is
 * seen as a reset. Node's `finish` proves nothing, and Node destroys the socket right behind it, which would throw the
 * evidence away; so the socket is held and read until the client has spoken.
 */
export async function deliver(
  req: IncomingMessage,
  res: ServerResponse,
  read: OpenRead,
  options: DeliverOptions,
): Promise<void> {
  const watch = options.closeProves ? new CloseWatch(req.socket, res) : null;
  const sink = new ResponseSink(res, options.stallMs);
  let handed = 0;
  let ending: ReadEnding = 'broken';
  try {
    if (options.closeProves) res.setHeader('connection', 'close');
    res.writeHead(options.status, options.headers);
    for await (const piece of read.body) {
      if (!(await sink.write(piece))) break;
      handed += piece.length;
      read.alive();
    }
    if (!sink.broken && handed === read.to - read.from && (await sink.end())) {
      ending = watch === null ? 'unproven' : await watch.verdict(options.lingerMs);
    }
  } catch (error) {
    res.destroy();
    throw error;
  } finally {
    await read.end(ending, handed);
    watch?.release();
    if (ending === 'broken') res.destroy();
  }
}

/** Writes with backpressure; `broken` once the client is gone or has taken nothing for too long. */
class ResponseSink {
  broken = false;
  readonly #res: ServerResponse;
  readonly #stallMs: number;

  constructor(res: ServerResponse, stallMs: number) {
    this.#res = res;
    this.#stallMs = stallMs;
    res.once('close', () => {
      if (!res.writableFinished) this.broken = true;
    });
    res.on('error', () => {
      this.broken = true;
    });
  }

  async write(piece: Uint8Array): Promise<boolean> {
    if (this.broken || this.#res.destroyed) return false;
    if (this.#res.write(piece)) return true;
    return this.#until('drain');
  }

  /** Resolves to true when the last byte was handed to the operating system. */
  async end(): Promise<boolean> {
    if (this.broken) return false;
    this.#res.end();
    return this.#res.writableFinished || this.#until('finish');
  }

  #until(event: 'drain' | 'finish'): Promise<boolean> {
    const res = this.#res;
    return new Promise((resolve) => {
      // A large answer moves on in small steps: as long as the socket takes bytes, the client is not stalled.
      let sent = res.socket?.bytesWritten ?? 0;
      const done = (value: boolean) => {
        clearInterval(timer);
        res.off(event, good);
        res.off('close', bad);
        resolve(value);
      };
      const good = () => done(true);
      const bad = () => {
        this.broken = true;
        done(false);
      };
      const timer = setInterval(() => {
        const now = res.socket === null ? 0 : res.socket.bytesWritten - res.socket.writableLength;
        if (now > sent) sent = now;
        else bad();
      }, this.#stallMs);
      timer.unref();
      res.on(event, good);
      res.on('close', bad);
    });
  }
}

type HeldSocket = Socket & { destroySoon(): void };

/** Watches how the client closes the connection. */
class CloseWatch {
  readonly #socket: HeldSocket;
  readonly #res: ServerResponse;
  #seen: 'open' | 'orderly' | 'early' | 'gone' = 'open';
  #wake: () => void = () => {};

  constructor(socket: Socket, res: ServerResponse) {
    this.#socket = socket as HeldSocket;
    this.#res = res;
    this.#socket.destroySoon = () => {};
    this.#socket.once('end', () => this.#see(this.#everythingHanded() ? 'orderly' : 'early'));
    this.#socket.once('error', () => this.#see('gone'));
    this.#socket.once('close', () => this.#see('gone'));
  }

  /** All bytes were with the operating system when the client closed: what it closed on is the whole answer. */
  #everythingHanded(): boolean {
    return this.#res.writableEnded && this.#socket.writableLength === 0;
  }

  #see(what: 'orderly' | 'early' | 'gone'): void {
    if (this.#seen === 'open') this.#seen = what;
    this.#wake();
  }

  /**
   * Waits for the client to close. One that waits for us instead gets our close after `lingerMs`, and its own close
   * behind that still counts; over TLS some complete reads then look broken, which only costs the reader another try.
   */
  async verdict(lingerMs: number): Promise<ReadEnding> {
    if (this.#seen === 'open') await this.#within(lingerMs);
    if (this.#seen === 'open') {
      this.#socket.end();
      await this.#within(lingerMs);
    }
    return this.#seen === 'orderly' ? 'proven' : 'broken';
  }

  release(): void {
    if (!this.#socket.destroyed) this.#socket.end(() => this.#socket.destroy());
  }

  #within(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
