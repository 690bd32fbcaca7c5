import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { FuselinkError } from '../errors.ts';
import type { WritePiece } from '../http/transport.ts';
import { bufferSource } from './buffer-source.ts';
import type { Source } from './source.ts';
import { PIECE_BYTES } from './source.ts';

/** Of a stream this much is held until the server has it: what broke can be sent again, and memory stays flat. */
export const WINDOW_BYTES = 4_194_304;

export type ByteStream = AsyncIterable<Uint8Array | string>;

function asBytes(chunk: unknown): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError(`expected a stream of bytes, got a ${chunk === null ? 'null' : typeof chunk}`);
}

/**
 * A stream that can be read once. One that ends within `oneShotBytesMax` becomes bytes in memory; of a longer one
 * the last unacknowledged window is kept. Takes the stream's first bytes before it returns.
 */
export async function streamSource(stream: ByteStream, oneShotBytesMax: number): Promise<Source> {
  const iterator = stream[Symbol.asyncIterator]();
  const hash: Hash = createHash('sha256');
  let pieces: Uint8Array[] = [];
  let windowStart = 0;
  let windowEnd = 0;
  let ended = false;

  async function pull(): Promise<void> {
    let next: IteratorResult<Uint8Array | string>;
    try {
      next = await iterator.next();
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new FuselinkError('source_unreadable', `the stream failed at byte ${windowEnd}: ${text}`, { cause });
    }
    if (next.done) {
      ended = true;
      return;
    }
    const bytes = asBytes(next.value);
    hash.update(bytes);
    // A stream may use its memory again as soon as the next chunk is asked for.
    if (bytes.byteLength > 0) pieces.push(Uint8Array.prototype.slice.call(bytes));
    windowEnd += bytes.byteLength;
  }

  async function fillTo(end: number): Promise<void> {
    while (!ended && windowEnd < end) await pull();
  }

  await fillTo(oneShotBytesMax + 1);
  if (ended && windowEnd <= oneShotBytesMax) return bufferSource(Buffer.concat(pieces));

  function dropBefore(offset: number): void {
    while (pieces.length > 0 && windowStart + (pieces[0] as Uint8Array).byteLength <= offset) {
      windowStart += (pieces.shift() as Uint8Array).byteLength;
    }
  }

  return {
    get sizeBytes() {
      return ended ? windowEnd : null;
    },
    replayable: false,
    whole: () => Promise.reject(new Error('a long stream is never sent in one request')),
    async prepare(offsetBytes, bytesMax) {
      if (offsetBytes < windowStart) {
        const held = `bytes from ${windowStart} on are held, and the server asks for ${offsetBytes}`;
        throw new FuselinkError('source_rewound', `the stream cannot go back: ${held}`);
      }
      dropBefore(offsetBytes);
      const most = Math.min(bytesMax ?? WINDOW_BYTES, WINDOW_BYTES);
      // One byte further tells whether this part is the last.
      await fillTo(offsetBytes + most + 1);
      return { bytes: Math.min(most, windowEnd - offsetBytes), sizeBytes: ended ? windowEnd : null };
    },
    async send(offsetBytes, count, write: WritePiece) {
      const end = offsetBytes + count;
      let at = windowStart;
      for (const piece of pieces) {
        const from = Math.max(offsetBytes, at);
        const to = Math.min(end, at + piece.byteLength);
        for (let p = from; p < to; p += PIECE_BYTES) {
          await write(piece.subarray(p - at, Math.min(to, p + PIECE_BYTES) - at));
        }
        at += piece.byteLength;
      }
    },
    changedTo: async () => null,
    async digest() {
      if (!ended) throw new Error('the digest of a stream is known at its end');
      return hash.copy().digest('hex');
    },
    reopen: () => Promise.reject(new Error('a stream cannot be opened again')),
    async close() {
      pieces = [];
      if (!ended) await iterator.return?.();
    },
  };
}
