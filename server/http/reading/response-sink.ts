import type { ServerResponse } from 'node:http';

/** Larger pieces are written in slices, so that "takes nothing" can be told from "takes it slowly". */
const SLICE_BYTES = 262_144;
/** How often a write that is not done is looked at. */
const LOOKS_PER_STALL = 8;

/** What Node's own socket timeout goes by: bytes of a write that the operating system has not taken yet. */
interface Handle {
  writeQueueSize?: number;
}

/** Writes an answer with backpressure, until the client is gone or has taken nothing for too long. */
export class ResponseSink {
  #broken = false;
  #written = 0;
  readonly #res: ServerResponse;
  readonly #stallMs: number;
  readonly #onMoved: () => void;

  constructor(res: ServerResponse, options: { stallMs: number; onMoved: () => void }) {
    this.#res = res;
    this.#stallMs = options.stallMs;
    this.#onMoved = options.onMoved;
    res.once('close', () => {
      if (!res.writableFinished) this.#broken = true;
    });
    res.on('error', () => {
      this.#broken = true;
    });
  }

  /** Whether all `bytes` of the answer were given to the socket, which may not have let go of them yet. */
  hasWritten(bytes: number): boolean {
    return this.#written === bytes && (bytes > 0 || this.#res.writableEnded);
  }

  /** Resolves to true when there is room for more, to false when there never will be. */
  async write(piece: Uint8Array): Promise<boolean> {
    for (let at = 0; at < piece.length || at === 0; at += SLICE_BYTES) {
      if (this.#broken || this.#res.destroyed) return false;
      const slice = piece.length <= SLICE_BYTES ? piece : piece.subarray(at, at + SLICE_BYTES);
      this.#written += slice.length;
      if (!this.#res.write(slice) && !(await this.#until('drain'))) return false;
    }
    return true;
  }

  /** Resolves to true when the last byte was handed to the operating system. */
  async end(): Promise<boolean> {
    if (this.#broken) return false;
    this.#res.end();
    return this.#res.writableFinished || this.#until('finish');
  }

  #until(event: 'drain' | 'finish'): Promise<boolean> {
    const res = this.#res;
    return new Promise((resolve) => {
      let left = waitingBytes(res);
      let quietLooks = 0;
      const done = (value: boolean) => {
        clearInterval(timer);
        res.off(event, good);
        res.off('close', bad);
        resolve(value);
      };
      const good = () => done(true);
      const bad = () => {
        this.#broken = true;
        done(false);
      };
      const timer = setInterval(() => {
        const now = waitingBytes(res);
        quietLooks = now === left ? quietLooks + 1 : 0;
        if (now !== left) this.#onMoved();
        left = now;
        if (quietLooks >= LOOKS_PER_STALL) bad();
      }, this.#stallMs / LOOKS_PER_STALL);
      res.on(event, good);
      res.on('close', bad);
    });
  }
}

function waitingBytes(res: ServerResponse): number {
  const { socket } = res;
  if (socket === null) return 0;
  const handle = (socket as unknown as { _handle: Handle | null })._handle;
  return handle?.writeQueueSize ?? socket.writableLength;
}
