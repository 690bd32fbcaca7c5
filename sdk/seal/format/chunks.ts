import type { SealCrypto } from '../crypto/port.ts';
import { SealError } from '../errors.ts';

const EMPTY = new Uint8Array(0);
const CHUNK_INDEX_MAX = 2 ** 32 - 1;

/**
 * The nonce of a chunk (SPEC §6), after STREAM [Hoang, Reyhanitabar, Rogaway, Vizár 2015]:
 * seven zero bytes ‖ index u32 ‖ 1 for the last chunk, else 0.
 */
export function chunkNonce(index: number, last: boolean): Uint8Array {
  if (index > CHUNK_INDEX_MAX) {
    throw new SealError('content_too_large', `expected at most ${CHUNK_INDEX_MAX + 1} chunks`);
  }
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(7, index);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** Which chunk, and whether it is the last one. */
export interface ChunkPosition {
  readonly index: number;
  readonly last: boolean;
}

/** Seals one chunk given in pieces. Returns pieces of ciphertext ‖ tag. */
export function sealChunk(
  crypto: SealCrypto,
  key: Uint8Array,
  position: ChunkPosition,
  plaintext: readonly Uint8Array[],
): Uint8Array[] {
  return crypto.aesGcmSeal(key, chunkNonce(position.index, position.last), EMPTY, plaintext);
}

/** Opens one chunk given in pieces. Returns pieces of plaintext, or `null` where it is not authentic at this position. */
export function openChunk(
  crypto: SealCrypto,
  key: Uint8Array,
  position: ChunkPosition,
  sealed: readonly Uint8Array[],
): Uint8Array[] | null {
  return crypto.aesGcmOpen(key, chunkNonce(position.index, position.last), EMPTY, sealed);
}

/**
 * Cuts a stream of pieces into chunks of `chunkBytes`. A chunk is handed out only once a byte after it has come, so
 * that whoever gets it knows it is not the last; the last one is what {@link Chunker.rest} returns. Holds one chunk in
 * a buffer of its own and keeps no reference to what was pushed.
 */
export class Chunker {
  readonly #pending: Uint8Array;
  #pendingLength = 0;

  constructor(chunkBytes: number) {
    this.#pending = new Uint8Array(chunkBytes);
  }

  /** Takes in a piece; calls `onChunk` with the one or two views that make up each full chunk. They are valid during the call. */
  push(piece: Uint8Array, onChunk: (pieces: readonly Uint8Array[]) => void): void {
    const chunkBytes = this.#pending.length;
    let offset = 0;
    while (this.#pendingLength + (piece.length - offset) > chunkBytes) {
      const taken = chunkBytes - this.#pendingLength;
      const pieces: Uint8Array[] = [];
      if (this.#pendingLength > 0) pieces.push(this.#pending.subarray(0, this.#pendingLength));
      if (taken > 0) pieces.push(piece.subarray(offset, offset + taken));
      offset += taken;
      this.#pendingLength = 0;
      onChunk(pieces);
    }
    this.#pending.set(piece.subarray(offset), this.#pendingLength);
    this.#pendingLength += piece.length - offset;
  }

  /** What is left: the last chunk, 0 to `chunkBytes` bytes. A view that the next push overwrites. */
  rest(): Uint8Array {
    return this.#pending.subarray(0, this.#pendingLength);
  }

  /** Forgets what is pending, content included. */
  wipe(): void {
    this.#pending.fill(0);
    this.#pendingLength = 0;
  }
}
