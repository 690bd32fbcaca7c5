/** Primitives, synchronous so that the simulator can run them in virtual time. Adapter: node:crypto. */
export interface Crypto {
  sha256(...parts: Uint8Array[]): Uint8Array;
  hmacSha256(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;
  /** RFC 5869. */
  hkdfSha256(options: { ikm: Uint8Array; salt: Uint8Array; info: string; bytes: number }): Uint8Array;
  /** A running SHA-256. */
  hash(): { update(bytes: Uint8Array): void; digest(): Uint8Array };
  /** AES-256-GCM: `ciphertext ‖ 16-byte tag`. `key` 32 bytes, `nonce` 12 bytes. */
  seal(options: { key: Uint8Array; nonce: Uint8Array; aad: Uint8Array; plaintext: Uint8Array }): Uint8Array;
  /** The plaintext, or null where anything was altered. */
  open(options: { key: Uint8Array; nonce: Uint8Array; aad: Uint8Array; sealed: Uint8Array }): Uint8Array | null;
  /** AES-256 key wrap [RFC 3394] with the default initial value. `kek` 32 bytes; `key` a multiple of 8 bytes, 16 or more. */
  wrapKey(kek: Uint8Array, key: Uint8Array): Uint8Array;
  /** What `wrapKey` wrapped, or null where it was wrapped under another key or altered. */
  unwrapKey(kek: Uint8Array, wrapped: Uint8Array): Uint8Array | null;
  /** Ed25519 [RFC 8032]: `publicKey` 32 bytes, `signature` 64; false for what is none, too. */
  verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Constant-time; false for different lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}

export interface Random {
  bytes(count: number): Uint8Array;
}

/** Wall time for what people see and expiry; monotonic time for durations. */
export interface Clock {
  nowMs(): number;
  monotonicMs(): number;
}
