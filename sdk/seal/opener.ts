import { concat, equalBytes, lengthOf } from './bytes.ts';
import type { SealCrypto, Sha256 } from './crypto/port.ts';
import { SealError } from './errors.ts';
import { Chunker, openChunk } from './format/chunks.ts';
import { headerMac, payloadKey, sha256Of } from './format/file-keys.ts';
import { type Header, HeaderReader } from './format/header.ts';
import { decodeManifest, type Manifest } from './format/manifest.ts';
import { schemeOf, signatureMessage } from './format/signature.ts';
import { type PublicKey, type SecretKey, samePublicKey } from './keys/key.ts';
import { CHUNK_PLAIN_BYTES, CHUNK_SEALED_BYTES, TAG_BYTES } from './limits.ts';
import { findContentKey } from './unwrapping.ts';

/** What the reader asks of a file's signature. */
export interface SignaturePolicy {
  /** Whether an unsigned file is refused. */
  readonly required: boolean;
  /** The only keys whose signature is accepted; `null` accepts any and reports whose it is. */
  readonly trusted: readonly PublicKey[] | null;
}

/** The reader's keys and rules. */
export interface OpenRequest {
  /** Private keys to try, for a file sealed to recipients. */
  readonly identities?: readonly SecretKey[];
  /** The 32-byte key of the link's fragment, for a file sealed to its link. */
  readonly contentKey?: Uint8Array | null;
  /** By default unsigned files are accepted and any signer is reported. */
  readonly signature?: SignaturePolicy;
}

/** What is known once the whole file was read and holds. */
export interface OpenReport {
  readonly manifest: Manifest;
  readonly contentBytes: number;
  /** Whose signature holds; `null` for an unsigned file. */
  readonly signer: PublicKey | null;
}

/**
 * Opens one sealed file: sealed bytes in, plaintext out, in pieces of any size, holding one chunk. Every piece that
 * comes out is authentic: written by somebody who has the content key, at this place in this file. Only
 * {@link Opener.finish} says that the file is whole and signed by whom it says; who must not act on less writes aside
 * until then. After an error the opener gives that same error for ever.
 */
export class Opener {
  readonly #crypto: SealCrypto;
  readonly #request: OpenRequest;
  readonly #headerReader = new HeaderReader();
  readonly #chunker = new Chunker(CHUNK_SEALED_BYTES);
  #payloadKey: Uint8Array | null = null;
  #headerHash = new Uint8Array(0) as Uint8Array;
  #headerBytes = 0;
  #sealedBytes = 0;
  #chunkIndex = 0;
  #manifest: Manifest | null = null;
  #manifestBytes = 0;
  #signatureBytes = 0;
  /** Over manifest and content; only a signature needs it. */
  #hash: Sha256 | null = null;
  /** The last bytes of the stream so far, held back because they may be the signature. */
  #held = new Uint8Array(0) as Uint8Array;
  #contentBytes = 0;
  #failure: unknown = null;
  #finished = false;

  constructor(crypto: SealCrypto, request: OpenRequest) {
    this.#crypto = crypto;
    this.#request = request;
  }

  /** What the file says of itself, once its first chunk was read; before that `null`. Authentic, but its signer is yet to be proven. */
  get manifest(): Manifest | null {
    return this.#manifest;
  }

  /** Takes in more of the file. Returns the authentic plaintext it completes. Throws {@link SealError}. */
  push(sealed: Uint8Array): Uint8Array[] {
    return this.#guarded(() => {
      const released: Uint8Array[] = [];
      this.#sealedBytes += sealed.length;
      let rest = sealed;
      if (this.#payloadKey === null) {
        const read = this.#headerReader.push(sealed);
        if (read === null) return released;
        this.#acceptHeader(read.header);
        rest = sealed.subarray(read.usedBytes);
      }
      this.#chunker.push(rest, (pieces) => this.#openChunk(pieces, false, released));
      return released;
    });
  }

  /**
   * Says that the file has ended. Returns its last plaintext and the report. Throws {@link SealError}; then nothing
   * that came out before may be taken for the whole file.
   */
  finish(): { readonly released: Uint8Array[]; readonly report: OpenReport } {
    return this.#guarded(() => {
      if (this.#payloadKey === null) throw this.#headerReader.endedEarly();
      const released: Uint8Array[] = [];
      const rest = this.#chunker.rest();
      if (rest.length <= TAG_BYTES) {
        throw new SealError('truncated', `expected a last chunk of more than ${TAG_BYTES} bytes, got ${rest.length}`);
      }
      this.#openChunk([rest], true, released);
      this.#chunker.wipe();
      const manifest = this.#manifest!;
      this.#verifySignature(manifest);
      if (manifest.contentBytes !== null && manifest.contentBytes !== this.#contentBytes) {
        const detail = `expected ${manifest.contentBytes} bytes, got ${this.#contentBytes}`;
        throw new SealError('content_size_mismatch', detail);
      }
      this.#payloadKey.fill(0);
      this.#finished = true;
      return { released, report: { manifest, contentBytes: this.#contentBytes, signer: manifest.signer } };
    });
  }

  #guarded<T>(act: () => T): T {
    if (this.#failure !== null) throw this.#failure;
    if (this.#finished) throw new Error('this opener has finished: one opener opens one file');
    try {
      return act();
    } catch (error) {
      this.#failure = error;
      this.#chunker.wipe();
      this.#held = new Uint8Array(0);
      this.#payloadKey?.fill(0);
      throw error;
    }
  }

  #acceptHeader(header: Header): void {
    const contentKey = findContentKey(this.#crypto, header, this.#request);
    const mac = headerMac(this.#crypto, contentKey, header.salt, header.covered);
    if (!equalBytes(mac, header.mac)) {
      throw new SealError('header_not_authentic', 'expected its code to match the key and every byte before it');
    }
    this.#headerBytes = header.covered.length + header.mac.length;
    this.#headerHash = sha256Of(this.#crypto, [header.covered, header.mac]);
    this.#payloadKey = payloadKey(this.#crypto, contentKey, header.salt, this.#headerHash);
    contentKey.fill(0);
  }

  #openChunk(sealed: readonly Uint8Array[], last: boolean, released: Uint8Array[]): void {
    const position = { index: this.#chunkIndex, last };
    const plaintext = openChunk(this.#crypto, this.#payloadKey!, position, sealed);
    if (plaintext === null) throw this.#damage(sealed, last);
    this.#chunkIndex += 1;
    this.#release(position.index === 0 ? this.#acceptManifest(concat(plaintext)) : plaintext, released);
    const announced = this.#manifest!.contentBytes;
    if (announced !== null && this.#contentBytes > announced) {
      throw new SealError('content_size_mismatch', `expected ${announced} bytes, got ${this.#contentBytes} or more`);
    }
  }

  /** Finds out which kind of damage it is, by what the chunk would be elsewhere. Only words depend on it. */
  #damage(sealed: readonly Uint8Array[], last: boolean): SealError {
    const index = this.#chunkIndex;
    if (lengthOf(sealed) === CHUNK_SEALED_BYTES) {
      const other = openChunk(this.#crypto, this.#payloadKey!, { index, last: !last }, sealed);
      if (other !== null && last) return new SealError('truncated', `chunk ${index} is not the last one`, index);
      if (other !== null) return new SealError('trailing_bytes', `chunk ${index} is the last one`, index);
    }
    const expected = this.#expectedSealedBytes();
    if (expected !== null && this.#sealedBytes > expected) {
      return new SealError('trailing_bytes', `expected ${expected} bytes, got ${this.#sealedBytes} or more`, index);
    }
    if (expected !== null && last && this.#sealedBytes < expected) {
      return new SealError('truncated', `expected ${expected} bytes, got ${this.#sealedBytes}`, index);
    }
    return new SealError('chunk_not_authentic', `chunk ${index}`, index);
  }

  #expectedSealedBytes(): number | null {
    const contentBytes = this.#manifest?.contentBytes ?? null;
    if (contentBytes === null) return null;
    const stream = this.#manifestBytes + contentBytes + this.#signatureBytes;
    return this.#headerBytes + stream + TAG_BYTES * Math.ceil(stream / CHUNK_PLAIN_BYTES);
  }

  /** Reads the manifest, applies the signature policy, and returns the content in the rest of the first chunk. */
  #acceptManifest(firstChunk: Uint8Array): Uint8Array[] {
    const { manifest, bytes } = decodeManifest(firstChunk);
    const policy = this.#request.signature ?? { required: false, trusted: null };
    if (manifest.signer === null) {
      if (policy.required) throw new SealError('signature_missing', 'the file is not signed');
    } else {
      const signer = manifest.signer;
      if (policy.trusted !== null && !policy.trusted.some((trusted) => samePublicKey(trusted, signer))) {
        throw new SealError(
          'signer_untrusted',
          `none of ${policy.trusted.length} trusted keys is this ${signer.algorithm} key`,
        );
      }
      this.#signatureBytes = schemeOf(signer).signatureBytes;
      this.#hash = this.#crypto.sha256();
      this.#hash.update(firstChunk.subarray(0, bytes));
    }
    this.#manifest = manifest;
    this.#manifestBytes = bytes;
    return [firstChunk.subarray(bytes)];
  }

  /** Passes content on, but for the last bytes that may be the signature. */
  #release(plaintext: readonly Uint8Array[], released: Uint8Array[]): void {
    const stream = this.#signatureBytes === 0 ? plaintext : [this.#held, ...plaintext];
    let left = lengthOf(stream) - this.#signatureBytes;
    const held: Uint8Array[] = [];
    for (const piece of stream) {
      const content = piece.subarray(0, Math.max(0, left));
      left -= content.length;
      if (content.length > 0) {
        this.#hash?.update(content);
        this.#contentBytes += content.length;
        released.push(content);
      }
      if (content.length < piece.length) held.push(piece.subarray(content.length));
    }
    this.#held = concat(held);
  }

  #verifySignature(manifest: Manifest): void {
    const { signer } = manifest;
    if (signer === null) return;
    const message = signatureMessage({
      signer,
      headerHash: this.#headerHash,
      contentHash: this.#hash!.digest(),
      contentBytes: this.#contentBytes,
    });
    const whole = this.#held.length === this.#signatureBytes;
    if (!whole || !schemeOf(signer).verify(this.#crypto, signer.publicKey, message, this.#held)) {
      throw new SealError('signature_invalid', `expected a valid ${signer.algorithm} signature at the end`);
    }
  }
}

/** An opener for one file. */
export function createOpener(crypto: SealCrypto, request: OpenRequest): Opener {
  return new Opener(crypto, request);
}
