import type { SealCrypto } from '../crypto/port.ts';

/** Signature schemes a device may sign with, by their TLS code points [RFC 8446 §4.2.3, draft-ietf-tls-mldsa]. */
export const SIGNATURE_IDS = { ed25519: 0x0807, mlDsa65: 0x0905 } as const;

/** A signature scheme; a private key is always its 32-byte seed. */
export interface SignatureScheme {
  readonly id: number;
  readonly name: string;
  readonly seedBytes: number;
  readonly publicKeyBytes: number;
  readonly signatureBytes: number;
  /** Random bytes that one signature consumes. */
  readonly coinsBytes: number;
  publicKey(crypto: SealCrypto, seed: Uint8Array): Uint8Array;
  sign(crypto: SealCrypto, seed: Uint8Array, message: Uint8Array, coins: Uint8Array): Uint8Array;
  verify(crypto: SealCrypto, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

const ed25519: SignatureScheme = {
  id: SIGNATURE_IDS.ed25519,
  name: 'Ed25519',
  seedBytes: 32,
  publicKeyBytes: 32,
  signatureBytes: 64,
  coinsBytes: 0,
  publicKey: (crypto, seed) => crypto.ed25519PublicKey(seed),
  sign: (crypto, seed, message) => crypto.ed25519Sign(seed, message),
  verify: (crypto, publicKey, message, signature) => crypto.ed25519Verify(publicKey, message, signature),
};

const mlDsa65: SignatureScheme = {
  id: SIGNATURE_IDS.mlDsa65,
  name: 'ML-DSA-65',
  seedBytes: 32,
  publicKeyBytes: 1952,
  signatureBytes: 3309,
  coinsBytes: 32,
  publicKey: (crypto, seed) => crypto.mlDsa65PublicKey(seed),
  sign: (crypto, seed, message, coins) => crypto.mlDsa65Sign(seed, message, coins),
  verify: (crypto, publicKey, message, signature) => crypto.mlDsa65Verify(publicKey, message, signature),
};

/** Every signature scheme of format version 1. */
export const SIGNATURE_SCHEMES: readonly SignatureScheme[] = [ed25519, mlDsa65];

/** The scheme with this code point, or `null`. */
export function signatureSchemeById(id: number): SignatureScheme | null {
  for (const scheme of SIGNATURE_SCHEMES) if (scheme.id === id) return scheme;
  return null;
}
