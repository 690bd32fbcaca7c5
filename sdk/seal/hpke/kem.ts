import { concat } from '../bytes.ts';
import { expectBytes, type SealCrypto } from '../crypto/port.ts';

/** The KEMs a recipient may have, by their HPKE code points [draft-ietf-hpke-pq]. */
export const KEM_IDS = { mlKem768: 0x0041, xWing: 0x647a } as const;
export type KemId = (typeof KEM_IDS)[keyof typeof KEM_IDS];

/** An expanded private key. */
export interface KemKeyPair {
  readonly publicKey: Uint8Array;
  /** The shared secret of `enc`, or `null` where this `enc` can have none. */
  decapsulate(enc: Uint8Array): Uint8Array | null;
}

/** A key encapsulation mechanism as HPKE sees it [RFC 9180 §4]; a private key is always its seed. */
export interface Kem {
  readonly id: number;
  readonly name: string;
  readonly seedBytes: number;
  readonly publicKeyBytes: number;
  readonly encBytes: number;
  /** Random bytes that one encapsulation consumes. */
  readonly coinsBytes: number;
  keyPair(crypto: SealCrypto, seed: Uint8Array): KemKeyPair;
  /** `null` where the public key is invalid. */
  encapsulate(
    crypto: SealCrypto,
    publicKey: Uint8Array,
    coins: Uint8Array,
  ): { readonly enc: Uint8Array; readonly sharedSecret: Uint8Array } | null;
}

const mlKem768: Kem = {
  id: KEM_IDS.mlKem768,
  name: 'ML-KEM-768',
  seedBytes: 64,
  publicKeyBytes: 1184,
  encBytes: 1088,
  coinsBytes: 32,
  keyPair: (crypto, seed) => crypto.mlKem768KeyPair(seed),
  encapsulate(crypto, publicKey, coins) {
    const made = crypto.mlKem768Encapsulate(publicKey, coins);
    return made === null ? null : { enc: made.ciphertext, sharedSecret: made.sharedSecret };
  },
};

/** `\.//^\`, the label of X-Wing's combiner [draft-connolly-cfrg-xwing-kem §5.3]. */
const X_WING_LABEL = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c);

/**
 * X-Wing: ML-KEM-768 and X25519, safe while either is [draft-connolly-cfrg-xwing-kem].
 * Public key: pk_M (1,184) ‖ pk_X (32). enc: ct_M (1,088) ‖ ct_X (32). Coins: m (32) ‖ ephemeral X25519 secret (32).
 * Shared secret: SHA3-256(ss_M ‖ ss_X ‖ ct_X ‖ pk_X ‖ label).
 */
const xWing: Kem = {
  id: KEM_IDS.xWing,
  name: 'X-Wing',
  seedBytes: 32,
  publicKeyBytes: 1216,
  encBytes: 1120,
  coinsBytes: 64,
  keyPair(crypto, seed) {
    expectBytes('X-Wing seed', seed, 32);
    const expanded = crypto.shake256(seed, 96);
    const inner = crypto.mlKem768KeyPair(expanded.subarray(0, 64));
    const x25519Secret = expanded.subarray(64);
    const x25519Public = crypto.x25519PublicKey(x25519Secret);
    return {
      publicKey: concat([inner.publicKey, x25519Public]),
      decapsulate(enc) {
        expectBytes('X-Wing enc', enc, 1120);
        const x25519Ephemeral = enc.subarray(1088);
        const x25519Shared = crypto.x25519(x25519Secret, x25519Ephemeral);
        if (x25519Shared === null) return null;
        const mlKemShared = inner.decapsulate(enc.subarray(0, 1088));
        return crypto.sha3_256(concat([mlKemShared, x25519Shared, x25519Ephemeral, x25519Public, X_WING_LABEL]));
      },
    };
  },
  encapsulate(crypto, publicKey, coins) {
    expectBytes('X-Wing public key', publicKey, 1216);
    expectBytes('X-Wing coins', coins, 64);
    const x25519Public = publicKey.subarray(1184);
    const ephemeral = coins.subarray(32);
    const inner = crypto.mlKem768Encapsulate(publicKey.subarray(0, 1184), coins.subarray(0, 32));
    const x25519Shared = crypto.x25519(ephemeral, x25519Public);
    if (inner === null || x25519Shared === null) return null;
    const x25519Ephemeral = crypto.x25519PublicKey(ephemeral);
    return {
      enc: concat([inner.ciphertext, x25519Ephemeral]),
      sharedSecret: crypto.sha3_256(
        concat([inner.sharedSecret, x25519Shared, x25519Ephemeral, x25519Public, X_WING_LABEL]),
      ),
    };
  },
};

/** Every KEM of format version 1. */
export const KEMS: readonly Kem[] = [xWing, mlKem768];

/** The KEM with this code point, or `null`. */
export function kemById(id: number): Kem | null {
  for (const kem of KEMS) if (kem.id === id) return kem;
  return null;
}
