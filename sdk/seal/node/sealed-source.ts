import type { BigIntStats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { equalBytes } from '../bytes.ts';
import type { Sha256 } from '../crypto/port.ts';
import { SealError } from '../errors.ts';
import { sealChunk } from '../format/chunks.ts';
import { CHUNK_PLAIN_BYTES, CHUNK_SEALED_BYTES, TAG_BYTES } from '../limits.ts';
import {
  beginSealing,
  type SealEffects,
  type Sealing,
  type SealRequest,
  sealedBytes,
  signSealed,
  streamBytes,
} from '../sealing.ts';

/** Tags kept for this many chunks at first; the table doubles as the file is read. 16 bytes a chunk: 1.3 MB for 5 GiB. */
const TAG_TABLE_CHUNKS = 64;

/** Read at once: a read and a look at the file for each chunk would cost more than sealing it. */
const READ_AHEAD_BYTES = 4 * CHUNK_PLAIN_BYTES;

/** What of a file's `stat` must not move while it is read. */
type FileState = Pick<BigIntStats, 'dev' | 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>;

async function stateOf(file: FileHandle): Promise<FileState> {
  return file.stat({ bigint: true });
}

function sameState(a: FileState, b: FileState): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

/**
 * A file that is sealed as it is read, and that can be read again from any offset, so that an interrupted upload is
 * continued with the very same bytes. The rule it keeps: **no content key ever seals two different bytes in one place.**
 * Every chunk's tag is remembered (a MAC of that chunk under a key nobody else has); a chunk sealed a second time is
 * given out only if its tag is the same. A file that changed in between, in whatever way, is `source_changed`, and the
 * caller starts afresh with a new source: a new content key.
 *
 * The state lives in this object alone and cannot be stored: after a crash, too, one starts afresh.
 */
export class SealedSource {
  /** The fragment that opens it, where it is sealed to its link; otherwise `null`. A secret: never log it. */
  readonly fragment: string | null;
  /** Bytes of the whole sealed file. */
  readonly sealedBytes: number;
  /** Bytes of the content. */
  readonly contentBytes: number;
  readonly #effects: SealEffects;
  readonly #sealing: Sealing;
  readonly #file: FileHandle;
  readonly #state: FileState;
  readonly #streamBytes: number;
  #tags = new Uint8Array(TAG_TABLE_CHUNKS * TAG_BYTES);
  /** Chunks below this one were sealed before. */
  #sealedChunks = 0;
  /** Over manifest and content of the chunks sealed so far; only a signature needs it. */
  #hash: Sha256 | null;
  #signature: Uint8Array | null = null;
  #failure: SealError | null = null;
  #reading = false;
  /** One chunk's plaintext: used again for each, and zero in between. */
  readonly #memory = new Uint8Array(CHUNK_PLAIN_BYTES);
  /** Content that was read and not yet sealed: `#aheadBytes` from `#aheadAt` of the content on. Zero where it was taken. */
  readonly #ahead = new Uint8Array(READ_AHEAD_BYTES);
  #aheadAt = 0;
  #aheadFrom = 0;
  #aheadBytes = 0;

  /** Use {@link openSealedSource}. */
  constructor(effects: SealEffects, sealing: Sealing, file: FileHandle, state: FileState) {
    this.#effects = effects;
    this.#sealing = sealing;
    this.#file = file;
    this.#state = state;
    this.fragment = sealing.fragment;
    this.contentBytes = Number(state.size);
    this.sealedBytes = sealedBytes(sealing, this.contentBytes);
    this.#streamBytes = streamBytes(sealing, this.contentBytes);
    this.#hash = sealing.signer === null ? null : effects.crypto.sha256();
  }

  /**
   * The sealed bytes from `offset` on, at most a chunk at a time. One reading at a time; a reading that was left early
   * may be followed by another from anywhere. Throws `RangeError` for an offset outside the file, {@link SealError}
   * `source_changed`, and the file system's errors.
   */
  async *read(offset = 0): AsyncGenerator<Uint8Array, void, undefined> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > this.sealedBytes) {
      throw new RangeError(`offset: expected 0 to ${this.sealedBytes}, got ${offset}`);
    }
    if (this.#reading) throw new Error('this source is being read: end that reading first');
    this.#reading = true;
    try {
      const { header } = this.#sealing;
      if (offset < header.length) yield header.slice(offset);
      const start = Math.max(0, offset - header.length);
      const firstWanted = Math.floor(start / CHUNK_SEALED_BYTES);
      const chunkCount = Math.ceil(this.#streamBytes / CHUNK_PLAIN_BYTES);
      // What was never sealed before must be, in order, for the signature's hash and the table of tags.
      for (let index = Math.min(firstWanted, this.#sealedChunks); index < chunkCount; index++) {
        const sealed = await this.#chunk(index, index === chunkCount - 1);
        if (index < firstWanted) continue;
        let skipped = index === firstWanted ? start - index * CHUNK_SEALED_BYTES : 0;
        for (const piece of sealed) {
          if (skipped < piece.length) yield piece.subarray(skipped);
          skipped = Math.max(0, skipped - piece.length);
        }
      }
    } finally {
      this.#reading = false;
    }
  }

  /** The content's size now, where the file is not what it was when opened or no longer gives what it gave; else `null`. */
  async changedTo(): Promise<number | null> {
    const now = await stateOf(this.#file);
    return this.#failure === null && sameState(now, this.#state) ? null : Number(now.size);
  }

  /** Closes the file and forgets the key. */
  async close(): Promise<void> {
    this.#failure ??= new SealError('source_changed', 'the source was closed');
    this.#sealing.payloadKey.fill(0);
    this.#ahead.fill(0);
    await this.#file.close();
  }

  /** The chunk in pieces that are nobody else's; both crypto adapters give the tag whole, at the end of the last one. */
  async #chunk(index: number, last: boolean): Promise<readonly Uint8Array[]> {
    if (this.#failure !== null) throw this.#failure;
    const plaintext = await this.#plaintext(index, last);
    const sealed = sealChunk(this.#effects.crypto, this.#sealing.payloadKey, { index, last }, [plaintext]);
    plaintext.fill(0);
    const end = sealed[sealed.length - 1]!;
    this.#checkTag(index, end.subarray(end.length - TAG_BYTES));
    return sealed;
  }

  /** The stream's bytes of one chunk: manifest, content, signature, whatever of them lies in it. */
  async #plaintext(index: number, last: boolean): Promise<Uint8Array> {
    const { manifestBytes } = this.#sealing;
    const start = index * CHUNK_PLAIN_BYTES;
    const plaintext = this.#memory.subarray(0, Math.min(CHUNK_PLAIN_BYTES, this.#streamBytes - start));
    if (index === 0) plaintext.set(manifestBytes, 0); // the manifest always fits the first chunk
    const contentStart = index === 0 ? manifestBytes.length : 0;
    const contentAt = start + contentStart - manifestBytes.length;
    const contentLength = Math.max(0, Math.min(plaintext.length - contentStart, this.contentBytes - contentAt));
    await this.#readContent(plaintext.subarray(contentStart, contentStart + contentLength), contentAt);
    // What changed since it was read ahead: no file is finished over it.
    if (last) await this.#checkUnchanged();
    // From here on nothing waits or fails until the tag is recorded: a chunk enters the hash exactly once.
    if (index === this.#sealedChunks) this.#hash?.update(plaintext.subarray(0, contentStart + contentLength));
    const signatureAt = contentStart + contentLength;
    if (signatureAt < plaintext.length) {
      const signature = this.#sign();
      const from = Math.max(0, contentAt - this.contentBytes);
      plaintext.set(signature.subarray(from, from + plaintext.length - signatureAt), signatureAt);
    }
    return plaintext;
  }

  async #readContent(target: Uint8Array, position: number): Promise<void> {
    if (position !== this.#aheadAt) this.#aheadBytes = 0;
    for (let at = 0; at < target.length; ) {
      if (this.#aheadBytes === 0) await this.#readAhead(position + at);
      const taken = this.#ahead.subarray(
        this.#aheadFrom,
        this.#aheadFrom + Math.min(target.length - at, this.#aheadBytes),
      );
      target.set(taken, at);
      taken.fill(0);
      at += taken.length;
      this.#aheadAt += taken.length;
      this.#aheadFrom += taken.length;
      this.#aheadBytes -= taken.length;
    }
  }

  async #readAhead(position: number): Promise<void> {
    const wanted = Math.min(READ_AHEAD_BYTES, this.contentBytes - position);
    for (let at = 0; at < wanted; ) {
      const { bytesRead } = await this.#file.read(this.#ahead, at, wanted - at, position + at);
      if (bytesRead === 0) {
        throw this.#fail(`expected ${this.contentBytes} bytes, it ends at ${position + at}`);
      }
      at += bytesRead;
    }
    await this.#checkUnchanged();
    this.#aheadAt = position;
    this.#aheadFrom = 0;
    this.#aheadBytes = wanted;
  }

  async #checkUnchanged(): Promise<void> {
    if (!sameState(await stateOf(this.#file), this.#state)) throw this.#fail('its size or time of change moved');
  }

  /** Made once and kept: a second signature would be other bytes under the same key and nonce. */
  #sign(): Uint8Array {
    if (this.#signature === null) {
      this.#signature = signSealed(this.#effects, this.#sealing, this.#hash!.digest(), this.contentBytes);
      this.#hash = null;
    }
    return this.#signature;
  }

  #checkTag(index: number, tag: Uint8Array): void {
    const at = index * TAG_BYTES;
    if (index < this.#sealedChunks) {
      if (!equalBytes(this.#tags.subarray(at, at + TAG_BYTES), tag)) {
        throw this.#fail(`chunk ${index} is not what was sealed before`);
      }
      return;
    }
    if (at + TAG_BYTES > this.#tags.length) {
      const larger = new Uint8Array(2 * this.#tags.length);
      larger.set(this.#tags);
      this.#tags = larger;
    }
    this.#tags.set(tag, at);
    this.#sealedChunks = index + 1;
  }

  #fail(detail: string): SealError {
    this.#failure = new SealError('source_changed', detail);
    return this.#failure;
  }
}

/**
 * Opens a file for sealing. Its size and time of modification go into the manifest unless the request has its own.
 * Throws what `beginSealing` does, `TypeError` where the path is not a file, and the file system's errors.
 */
export async function openSealedSource(
  effects: SealEffects,
  path: string,
  request: Omit<SealRequest, 'contentBytes'>,
): Promise<SealedSource> {
  const file = await open(path, 'r');
  try {
    const stats = await file.stat({ bigint: true });
    if (!stats.isFile()) throw new TypeError('expected a file to seal, got something else at that path');
    const modifiedAtMs = request.modifiedAtMs === undefined ? Number(stats.mtimeNs / 1_000_000n) : request.modifiedAtMs;
    const sealing = beginSealing(effects, { ...request, modifiedAtMs, contentBytes: Number(stats.size) });
    return new SealedSource(effects, sealing, file, stats);
  } catch (error) {
    await file.close();
    throw error;
  }
}
