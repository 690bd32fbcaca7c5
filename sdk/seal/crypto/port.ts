/** A running SHA-256. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** The 32-byte digest; the object is spent afterwards. */
  digest(): Uint8Array;
}

/** An ML-KEM-768 encapsulation. */
export interface Encapsulation {
  /** The ciphertext, 1,088 bytes. */
  readonly ciphertext: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/** An expanded ML-KEM-768 key pair. */
export interface MlKemKeyPair {
  /** The encapsulation key, 1,184 bytes. */
  readonly publicKey: Uint8Array;
  /** The shared secret of a 1,088-byte ciphertext. A forged one gives a secret nobody knows, not an error [FIPS 203 §6.3]. */
  decapsulate(ciphertext: Uint8Array): Uint8Array;
}

/**
 * The crypto effect: every primitive this library uses, synchronous and deterministic (chance comes in through
 * {@link SealRandom}). Two implementations, `nobleCrypto` and `nodeCrypto`, run one contract suite
 * (`crypto.contract.ts`) with the published vectors. All of them throw `TypeError` or `RangeError` on arguments of the
 * wrong shape or size; expected failures are values (`null`, `false`).
 */
export interface SealCrypto {
  /** For messages and benches, e.g. `noble`. */
  readonly name: string;
  /** SHA-256 [FIPS 180-4], incremental. */
  sha256(): Sha256;
  /** SHA3-256 [FIPS 202]; X-Wing's combiner. */
  sha3_256(bytes: Uint8Array): Uint8Array;
  /** SHAKE-256 [FIPS 202] with `lengthBytes` of output; X-Wing's key expansion. */
  shake256(bytes: Uint8Array, lengthBytes: number): Uint8Array;
  /** HMAC-SHA-256 [RFC 2104]. */
  hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array;
  /**
   * AES-GCM [SP 800-38D] with a 16-byte tag. `key`: 16 or 32 bytes; `nonce`: 12 bytes; the plaintext is given in pieces.
   * Returns the pieces of ciphertext ‖ tag, in whatever split is cheapest.
   */
  aesGcmSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: readonly Uint8Array[]): Uint8Array[];
  /** The inverse: pieces of ciphertext ‖ tag in, pieces of plaintext out, or `null` where the tag does not hold. */
  aesGcmOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: readonly Uint8Array[]): Uint8Array[] | null;
  /** The public key of a 32-byte X25519 secret [RFC 7748 §6.1]. */
  x25519PublicKey(secret: Uint8Array): Uint8Array;
  /** X25519; `null` where the result is all zero because the peer's point has a small order [RFC 7748 §6.1]. */
  x25519(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | null;
  /** ML-KEM-768 key pair of a 64-byte seed d ‖ z [FIPS 203 §6.1]. */
  mlKem768KeyPair(seed: Uint8Array): MlKemKeyPair;
  /** ML-KEM-768 encapsulation with the 32 random bytes `coins` [FIPS 203 §6.2]; `null` where the key fails its check [FIPS 203 §7.2]. */
  mlKem768Encapsulate(publicKey: Uint8Array, coins: Uint8Array): Encapsulation | null;
  /** The 32-byte Ed25519 public key of a 32-byte seed [RFC 8032 §5.1.5]. */
  ed25519PublicKey(seed: Uint8Array): Uint8Array;
  /** Ed25519 signature, 64 bytes. */
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /** Whether the signature holds; `false` for malformed points too. */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** The 1,952-byte ML-DSA-65 public key of a 32-byte seed [FIPS 204 §6.1]. */
  mlDsa65PublicKey(seed: Uint8Array): Uint8Array;
  /** Hedged ML-DSA-65 signature with an empty context and 32 random bytes `coins`, 3,309 bytes [FIPS 204 §5.2]. */
  mlDsa65Sign(seed: Uint8Array, message: Uint8Array, coins: Uint8Array): Uint8Array;
  /** Whether the signature holds under an empty context; `false` for malformed ones too. */
  mlDsa65Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** scrypt [RFC 7914] with N = 2^`costLog2`, r = 8, p = 1; 32 bytes. Takes 2^(`costLog2` + 10) bytes of memory. */
  scrypt(passphrase: Uint8Array, salt: Uint8Array, costLog2: number): Uint8Array;
}

/** Where chance comes from. Must be a cryptographic generator; a platform without one cannot seal. */
export interface SealRandom {
  /** `lengthBytes` fresh random bytes, never handed out before. */
  bytes(lengthBytes: number): Uint8Array;
}

/** Throws `TypeError` or `RangeError` unless `value` is a `Uint8Array` of `lengthBytes`. The value itself is never shown. */
export function expectBytes(what: string, value: Uint8Array, lengthBytes: number): void {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${what}: expected a Uint8Array, got ${typeof value}`);
  if (value.length !== lengthBytes) {
    throw new RangeError(`${what}: expected ${lengthBytes} bytes, got ${value.length}`);
  }
}

/** Throws unless `key` fits AES-128 or AES-256 and `nonce` has 12 bytes. */
export function expectAesGcmArguments(key: Uint8Array, nonce: Uint8Array): void {
  if (key.length !== 16) expectBytes('AES key', key, 32);
  expectBytes('AES-GCM nonce', nonce, 12);
}
