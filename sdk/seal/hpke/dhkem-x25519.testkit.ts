import { concat, utf8 } from '../bytes.ts';
import { labeledExpand, labeledExtract } from './base-mode.ts';
import type { Kem } from './kem.ts';

/** suite_id of a KEM [RFC 9180 §4.1]: "KEM" ‖ kem_id. */
const SUITE_ID = concat([utf8('KEM'), Uint8Array.of(0x00, 0x20)]);

/**
 * DHKEM(X25519, HKDF-SHA256) [RFC 9180 §4.1]. Not a KEM of the sealed file (it falls to a quantum computer); the tests
 * use it to hold our key schedule against RFC 9180's vectors and an independent implementation. Seed and coins are
 * X25519 secrets themselves.
 */
export const dhkemX25519: Kem = {
  id: 0x0020,
  name: 'DHKEM(X25519)',
  seedBytes: 32,
  publicKeyBytes: 32,
  encBytes: 32,
  coinsBytes: 32,
  keyPair(crypto, seed) {
    const publicKey = crypto.x25519PublicKey(seed);
    return {
      publicKey,
      decapsulate(enc) {
        const dh = crypto.x25519(seed, enc);
        if (dh === null) return null;
        const prk = labeledExtract(crypto, SUITE_ID, new Uint8Array(0), 'eae_prk', dh);
        return labeledExpand(crypto, SUITE_ID, prk, 'shared_secret', concat([enc, publicKey]), 32);
      },
    };
  },
  encapsulate(crypto, publicKey, coins) {
    const dh = crypto.x25519(coins, publicKey);
    if (dh === null) return null;
    const enc = crypto.x25519PublicKey(coins);
    const prk = labeledExtract(crypto, SUITE_ID, new Uint8Array(0), 'eae_prk', dh);
    return { enc, sharedSecret: labeledExpand(crypto, SUITE_ID, prk, 'shared_secret', concat([enc, publicKey]), 32) };
  },
};

/** DeriveKeyPair's secret for X25519 [RFC 9180 §7.1.3]. */
export function deriveX25519Secret(crypto: Parameters<Kem['keyPair']>[0], ikm: Uint8Array): Uint8Array {
  const prk = labeledExtract(crypto, SUITE_ID, new Uint8Array(0), 'dkp_prk', ikm);
  return labeledExpand(crypto, SUITE_ID, prk, 'sk', new Uint8Array(0), 32);
}
