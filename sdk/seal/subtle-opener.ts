import { concat } from './bytes.ts';
import type { SealCrypto } from './crypto/port.ts';
import { Chunker, chunkNonce } from './format/chunks.ts';
import type { Manifest } from './format/manifest.ts';
import { CHUNK_SEALED_BYTES } from './limits.ts';
import { Opening, type OpenReport, type OpenRequest } from './opening.ts';

/** Chunks decrypted at once: enough to keep the browser's threads busy, 512 KiB of memory. */
const CHUNKS_AT_ONCE = 8;

/** The two calls of WebCrypto's `SubtleCrypto` that are used; `crypto.subtle` fits. */
export interface SubtleAesGcm {
  importKey(
    format: 'raw',
    key: Uint8Array,
    algorithm: 'AES-GCM',
    extractable: false,
    usages: ['decrypt'],
  ): Promise<unknown>;
  decrypt(
    algorithm: { readonly name: 'AES-GCM'; readonly iv: Uint8Array; readonly tagLength: 128 },
    key: never,
    data: Uint8Array,
  ): Promise<ArrayBuffer>;
}

/** A chunk on its way through WebCrypto: its own copy of the sealed bytes. */
interface PendingChunk {
  readonly sealed: Uint8Array;
  readonly last: boolean;
  readonly plaintext: Promise<Uint8Array[] | null>;
}

/**
 * The {@link Opener} for pages on HTTPS: chunks go through `crypto.subtle`, some twenty times faster than JavaScript and
 * off the page's thread; all else, and every rule, is the same. Each call is awaited before the next is made.
 */
export class SubtleOpener {
  readonly #subtle: SubtleAesGcm;
  readonly #opening: Opening;
  readonly #chunker = new Chunker(CHUNK_SEALED_BYTES);
  #key: Promise<unknown> | null = null;
  #chunkIndex = 0;
  #busy = false;

  constructor(subtle: SubtleAesGcm, crypto: SealCrypto, request: OpenRequest) {
    this.#subtle = subtle;
    this.#opening = new Opening(crypto, request);
  }

  /** As `Opener.manifest`. */
  get manifest(): Manifest | null {
    return this.#opening.manifest;
  }

  /** As `Opener.push`. */
  push(sealed: Uint8Array): Promise<Uint8Array[]> {
    return this.#guarded(async () => {
      const released: Uint8Array[] = [];
      const chunks = this.#opening.takeHeader(sealed);
      if (chunks === null) return released;
      const whole: Uint8Array[] = [];
      this.#chunker.push(chunks, (pieces) => whole.push(concat(pieces)));
      for (let at = 0; at < whole.length; at += CHUNKS_AT_ONCE) {
        const pending = whole.slice(at, at + CHUNKS_AT_ONCE).map((chunk) => this.#start(chunk, false));
        for (const each of pending) await this.#accept(each, released);
      }
      return released;
    });
  }

  /** As `Opener.finish`. */
  finish(): Promise<{ readonly released: Uint8Array[]; readonly report: OpenReport }> {
    return this.#guarded(async () => {
      const released: Uint8Array[] = [];
      const rest = this.#chunker.rest();
      this.#opening.expectLastChunk(rest);
      await this.#accept(this.#start(rest.slice(), true), released);
      this.#chunker.wipe();
      return { released, report: this.#opening.end() };
    });
  }

  #start(sealed: Uint8Array, last: boolean): PendingChunk {
    this.#key ??= this.#subtle.importKey('raw', this.#opening.payloadKey!.slice(), 'AES-GCM', false, ['decrypt']);
    const iv = chunkNonce(this.#chunkIndex, last);
    this.#chunkIndex += 1;
    const plaintext = this.#key.then((key) =>
      this.#subtle.decrypt({ name: 'AES-GCM', iv, tagLength: 128 }, key as never, sealed).then(
        (opened) => [new Uint8Array(opened)],
        () => null, // OperationError: the tag did not hold
      ),
    );
    plaintext.catch(() => undefined); // a failed import reaches the caller through the first chunk that is awaited
    return { sealed, last, plaintext };
  }

  async #accept(chunk: PendingChunk, released: Uint8Array[]): Promise<void> {
    this.#opening.accept([chunk.sealed], chunk.last, await chunk.plaintext, released);
  }

  async #guarded<T>(act: () => Promise<T>): Promise<T> {
    if (this.#busy) throw new Error('this opener is still at work: await each call before the next');
    this.#opening.check();
    this.#busy = true;
    try {
      return await act();
    } catch (error) {
      this.#chunker.wipe();
      throw this.#opening.fail(error);
    } finally {
      this.#busy = false;
    }
  }
}
