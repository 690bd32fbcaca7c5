import type { Sha256 } from './crypto/port.ts';
import { SealError } from './errors.ts';
import { Chunker, sealChunk } from './format/chunks.ts';
import { CHUNK_PLAIN_BYTES, CONTENT_BYTES_MAX } from './limits.ts';
import { beginSealing, type SealEffects, type Sealing, type SealRequest, signSealed } from './sealing.ts';

/**
 * Seals one file: plaintext in, sealed bytes out, in pieces of any size, holding one chunk. Keeps no reference to what
 * was pushed, so a reader may reuse its buffer. A sealer makes exactly one file: to send anything again that may have
 * changed, make a new one (a new content key).
 */
export class Sealer {
  /** The fragment that opens the file, where it is sealed to its link; otherwise `null`. A secret: never log it. */
  readonly fragment: string | null;
  readonly #effects: SealEffects;
  readonly #sealing: Sealing;
  readonly #chunker = new Chunker(CHUNK_PLAIN_BYTES);
  /** Over manifest and content; only a signature needs it. */
  readonly #hash: Sha256 | null;
  #chunkIndex = 0;
  #contentBytes = 0;
  #state: 'new' | 'open' | 'finished' | 'failed' = 'new';

  constructor(effects: SealEffects, sealing: Sealing) {
    this.#effects = effects;
    this.#sealing = sealing;
    this.fragment = sealing.fragment;
    this.#hash = sealing.signer === null ? null : effects.crypto.sha256();
  }

  /** Content bytes taken in so far. */
  get contentBytes(): number {
    return this.#contentBytes;
  }

  /**
   * Takes in content. Returns the sealed bytes it completes, the header first. Throws {@link SealError}
   * `content_size_mismatch` as soon as there is more than was announced, `content_too_large` above the format's limit;
   * after any error the sealer is spent.
   */
  push(content: Uint8Array): Uint8Array[] {
    return this.#guarded(() => {
      const sealed = this.#begin();
      const contentBytes = this.#contentBytes + content.length;
      const announced = this.#sealing.contentBytes;
      if (announced !== null && contentBytes > announced) {
        throw new SealError('content_size_mismatch', `expected ${announced} bytes, got ${contentBytes} or more`);
      }
      if (contentBytes > CONTENT_BYTES_MAX) {
        throw new SealError('content_too_large', `expected at most ${CONTENT_BYTES_MAX} bytes`);
      }
      this.#contentBytes = contentBytes;
      this.#hash?.update(content);
      this.#feed(content, sealed);
      return sealed;
    });
  }

  /** Ends the file. Returns its last bytes. Throws {@link SealError} `content_size_mismatch` where there was less than announced. */
  finish(): Uint8Array[] {
    return this.#guarded(() => {
      const sealed = this.#begin();
      const announced = this.#sealing.contentBytes;
      if (announced !== null && this.#contentBytes !== announced) {
        throw new SealError('content_size_mismatch', `expected ${announced} bytes, got ${this.#contentBytes}`);
      }
      if (this.#hash !== null) {
        const signature = signSealed(this.#effects, this.#sealing, this.#hash.digest(), this.#contentBytes);
        this.#feed(signature, sealed);
      }
      this.#seal([this.#chunker.rest()], true, sealed);
      this.#end('finished');
      return sealed;
    });
  }

  /** The header and the manifest, before the first content. */
  #begin(): Uint8Array[] {
    const sealed: Uint8Array[] = [];
    if (this.#state === 'new') {
      this.#state = 'open';
      sealed.push(this.#sealing.header);
      this.#hash?.update(this.#sealing.manifestBytes);
      this.#feed(this.#sealing.manifestBytes, sealed);
    }
    return sealed;
  }

  #feed(bytes: Uint8Array, sealed: Uint8Array[]): void {
    this.#chunker.push(bytes, (pieces) => this.#seal(pieces, false, sealed));
  }

  #seal(pieces: readonly Uint8Array[], last: boolean, sealed: Uint8Array[]): void {
    const position = { index: this.#chunkIndex, last };
    this.#chunkIndex += 1;
    for (const piece of sealChunk(this.#effects.crypto, this.#sealing.payloadKey, position, pieces)) sealed.push(piece);
  }

  /** Nothing may be sealed after an error: whatever came before it is lost, and its place must not be sealed again. */
  #guarded(act: () => Uint8Array[]): Uint8Array[] {
    if (this.#state === 'finished' || this.#state === 'failed') {
      throw new Error(`this sealer has ${this.#state}: one sealer makes one file`);
    }
    try {
      return act();
    } catch (error) {
      this.#end('failed');
      throw error;
    }
  }

  #end(state: 'finished' | 'failed'): void {
    this.#state = state;
    this.#chunker.wipe();
    this.#sealing.payloadKey.fill(0);
  }
}

/**
 * A sealer for one file. Throws {@link SealError} `recipients_invalid`, `key_malformed`, `name_invalid`,
 * `content_too_large` or `manifest_malformed`.
 */
export function createSealer(effects: SealEffects, request: SealRequest): Sealer {
  return new Sealer(effects, beginSealing(effects, request));
}
