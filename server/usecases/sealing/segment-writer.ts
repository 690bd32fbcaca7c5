import { SEGMENT_NONCE_BYTES, type SegmentFlag, segmentAad } from '../../domain/upload/segments.ts';
import type { Crypto, Random } from '../../ports/crypto.ts';
import type { LinkSecrets } from './link.ts';

export interface SegmentWriterOptions {
  crypto: Crypto;
  random: Random;
  secrets: LinkSecrets;
  segmentBytes: number;
  /** Index of the segment the first pushed byte belongs to. */
  index: number;
  /** Plaintext already in that segment (an opened tail). */
  begun?: Uint8Array;
}

/**
 * Cuts plaintext into segments and seals each. A full segment is kept until more arrives, because only then is it
 * known not to be the last; `push` therefore returns the sealed segments that became certain.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  #index: number;
  #buffer: Uint8Array;
  #filled = 0;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    this.#index = options.index;
    // Grown as bytes come: most files are far smaller than a segment.
    this.#buffer = new Uint8Array(0);
    if (options.begun !== undefined) this.#append(options.begun);
  }

  /** Plaintext held back, not yet in a sealed segment. Valid until the next `push`. */
  get pending(): Uint8Array {
    return this.#buffer.subarray(0, this.#filled);
  }

  /** Plaintext bytes in sealed segments so far (from the start of the file). */
  get sealedBytes(): number {
    return this.#index * this.#options.segmentBytes;
  }

  /** Takes plaintext; returns the segments it completed, as they stand at rest, in order. */
  push(bytes: Uint8Array): Uint8Array[] {
    const { segmentBytes } = this.#options;
    const out: Uint8Array[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#filled === segmentBytes) {
        out.push(...this.#seal('inner'));
        this.#index++;
        this.#filled = 0;
      }
      const take = Math.min(segmentBytes - this.#filled, bytes.length - at);
      this.#append(bytes.subarray(at, at + take));
      at += take;
    }
    return out;
  }

  /** The last segment, sealed as such. Nothing may follow. */
  finish(): Uint8Array[] {
    return this.#seal('last');
  }

  /** The pending bytes sealed as a tail, to go on from later; null where there are none. */
  tail(): Uint8Array | null {
    if (this.#filled === 0) return null;
    const [nonce, sealed] = this.#seal('tail') as [Uint8Array, Uint8Array];
    const out = new Uint8Array(nonce.length + sealed.length);
    out.set(nonce);
    out.set(sealed, nonce.length);
    return out;
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#filled + bytes.length;
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(Math.min(this.#options.segmentBytes, Math.max(needed, this.#buffer.length * 2)));
      grown.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled = needed;
  }

  #seal(flag: SegmentFlag): Uint8Array[] {
    const { crypto, random, secrets } = this.#options;
    // A random nonce each time: a crash makes a client send a segment again, perhaps with other bytes.
    const nonce = random.bytes(SEGMENT_NONCE_BYTES);
    const aad = segmentAad(secrets.idBytes, this.#index, flag);
    const plaintext = this.#buffer.subarray(0, this.#filled);
    return [nonce, crypto.seal({ key: secrets.key, nonce, aad, plaintext })];
  }
}
