import type { SealCrypto } from './crypto/port.ts';
import { Chunker, openChunk } from './format/chunks.ts';
import type { Manifest } from './format/manifest.ts';
import { CHUNK_SEALED_BYTES } from './limits.ts';
import { Opening, type OpenReport, type OpenRequest } from './opening.ts';

/**
 * Opens one sealed file: sealed bytes in, plaintext out, in pieces of any size, holding one chunk. Every piece that
 * comes out is authentic: written by somebody who has the content key, at this place in this file. Only
 * {@link Opener.finish} says that the file is whole and signed by whom it says; who must not act on less writes aside
 * until then. After an error the opener gives that same error for ever.
 */
export class Opener {
  readonly #crypto: SealCrypto;
  readonly #opening: Opening;
  readonly #chunker = new Chunker(CHUNK_SEALED_BYTES);
  #chunkIndex = 0;

  constructor(crypto: SealCrypto, request: OpenRequest) {
    this.#crypto = crypto;
    this.#opening = new Opening(crypto, request);
  }

  /** What the file says of itself, once its first chunk was read; before that `null`. Authentic, but its signer is yet to be proven. */
  get manifest(): Manifest | null {
    return this.#opening.manifest;
  }

  /** Takes in more of the file. Returns the authentic plaintext it completes. Throws {@link SealError}. */
  push(sealed: Uint8Array): Uint8Array[] {
    return this.#guarded(() => {
      const released: Uint8Array[] = [];
      const chunks = this.#opening.takeHeader(sealed);
      if (chunks !== null) this.#chunker.push(chunks, (pieces) => this.#open(pieces, false, released));
      return released;
    });
  }

  /**
   * Says that the file has ended. Returns its last plaintext and the report. Throws {@link SealError}; then nothing
   * that came out before may be taken for the whole file.
   */
  finish(): { readonly released: Uint8Array[]; readonly report: OpenReport } {
    return this.#guarded(() => {
      const released: Uint8Array[] = [];
      const rest = this.#chunker.rest();
      this.#opening.expectLastChunk(rest);
      this.#open([rest], true, released);
      this.#chunker.wipe();
      return { released, report: this.#opening.end() };
    });
  }

  #open(sealed: readonly Uint8Array[], last: boolean, released: Uint8Array[]): void {
    const position = { index: this.#chunkIndex, last };
    this.#chunkIndex += 1;
    const plaintext = openChunk(this.#crypto, this.#opening.payloadKey!, position, sealed);
    this.#opening.accept(sealed, last, plaintext, released);
  }

  #guarded<T>(act: () => T): T {
    this.#opening.check();
    try {
      return act();
    } catch (error) {
      this.#chunker.wipe();
      throw this.#opening.fail(error);
    }
  }
}

/** An opener for one file. */
export function createOpener(crypto: SealCrypto, request: OpenRequest): Opener {
  return new Opener(crypto, request);
}
