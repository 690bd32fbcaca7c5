import { concat, equalBytes, lengthOf } from './bytes.ts';
import type { SealCrypto, Sha256 } from './crypto/port.ts';
import { SealError } from './errors.ts';
import { openChunk } from './format/chunks.ts';
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
 * What is known of one sealed file while it is read: header, chunk count, manifest, signature. Chunks are opened by the
 * callers, at once ({@link Opener}) or by promise (`SubtleOpener`); what follows from a chunk is decided here.
 */
export class Opening {
  readonly #crypto: SealCrypto;
  readonly #request: OpenRequest;
  readonly #headerReader = new HeaderReader();
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

  /** The manifest, once the first chunk was accepted. */
  get manifest(): Manifest | null {
    return this.#manifest;
  }

  /** The chunks' key, once the header was accepted. */
  get payloadKey(): Uint8Array | null {
    return this.#payloadKey;
  }

  /** Throws the first error again, and `Error` after the end. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#finished) throw new Error('this opener has finished: one opener opens one file');
  }

  /** Makes this error the last word on the file, forgets its key, and gives the error back. */
  fail(error: unknown): unknown {
    this.#failure = error;
    this.#held = new Uint8Array(0);
    this.#payloadKey?.fill(0);
    return error;
  }

  /** Takes in sealed bytes. Returns those that belong to chunks, or `null` while the header is not whole. */
  takeHeader(sealed: Uint8Array): Uint8Array | null {
    this.#sealedBytes += sealed.length;
    if (this.#payloadKey !== null) return sealed;
    const read = this.#headerReader.push(sealed);
    if (read === null) return null;
    this.#acceptHeader(read.header);
    return sealed.subarray(read.usedBytes);
  }

  /** Checks that what is left when the file ends can be a last chunk. */
  expectLastChunk(rest: Uint8Array): void {
    if (this.#payloadKey === null) throw this.#headerReader.endedEarly();
    if (rest.length <= TAG_BYTES) {
      throw new SealError('truncated', `expected a last chunk of more than ${TAG_BYTES} bytes, got ${rest.length}`);
    }
  }

  /**
   * Decides on the next chunk in order. `plaintext`: what opening `sealed` at this place gave, `null` where its tag did
   * not hold. Adds the content in it to `released`.
   */
  accept(
    sealed: readonly Uint8Array[],
    last: boolean,
    plaintext: readonly Uint8Array[] | null,
    released: Uint8Array[],
  ): void {
    if (plaintext === null) throw this.#damage(sealed, last);
    this.#chunkIndex += 1;
    this.#release(this.#chunkIndex === 1 ? this.#acceptManifest(concat(plaintext)) : plaintext, released);
    const announced = this.#manifest!.contentBytes;
    if (announced !== null && this.#contentBytes > announced) {
      throw new SealError('content_size_mismatch', `expected ${announced} bytes, got ${this.#contentBytes} or more`);
    }
  }

  /** Decides on the whole file after its last chunk. */
  end(): OpenReport {
    const manifest = this.#manifest!;
    this.#verifySignature(manifest);
    if (manifest.contentBytes !== null && manifest.contentBytes !== this.#contentBytes) {
      const detail = `expected ${manifest.contentBytes} bytes, got ${this.#contentBytes}`;
      throw new SealError('content_size_mismatch', detail);
    }
    this.#payloadKey!.fill(0);
    this.#finished = true;
    return { manifest, contentBytes: this.#contentBytes, signer: manifest.signer };
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
