import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { type Encapsulation, expectBytes, type MlKemKeyPair, type SealCrypto } from './port.ts';

/*
 * The half of noble's cryptography that Node lacks. A file of its own: noble's AES builds 1 MB of tables when it is
 * loaded, which costs a program on Node 8 MB for what `node:crypto` does.
 */

/** noble says "invalid" by throwing; sizes are checked before, so here a throw means malformed input, never a bug of ours. */
export function orFalse(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

function mlKem768KeyPair(seed: Uint8Array): MlKemKeyPair {
  expectBytes('ML-KEM-768 seed', seed, 64);
  const { publicKey, secretKey } = ml_kem768.keygen(seed);
  return {
    publicKey,
    decapsulate(ciphertext) {
      expectBytes('ML-KEM-768 ciphertext', ciphertext, 1088);
      return ml_kem768.decapsulate(ciphertext, secretKey);
    },
  };
}

function mlKem768Encapsulate(publicKey: Uint8Array, coins: Uint8Array): Encapsulation | null {
  expectBytes('ML-KEM-768 public key', publicKey, 1184);
  expectBytes('ML-KEM-768 coins', coins, 32);
  try {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, coins);
    return { ciphertext: cipherText, sharedSecret };
  } catch {
    return null; // sizes are right, so what is left is the modulus check [FIPS 203 §7.2]
  }
}

export const postQuantum = {
  mlKem768KeyPair,
  mlKem768Encapsulate,
  mlDsa65PublicKey(seed) {
    expectBytes('ML-DSA-65 seed', seed, 32);
    return ml_dsa65.keygen(seed).publicKey;
  },
  mlDsa65Sign(seed, message, coins) {
    expectBytes('ML-DSA-65 seed', seed, 32);
    expectBytes('ML-DSA-65 coins', coins, 32);
    return ml_dsa65.sign(message, ml_dsa65.keygen(seed).secretKey, { extraEntropy: coins });
  },
  mlDsa65Verify(publicKey, message, signature) {
    expectBytes('ML-DSA-65 public key', publicKey, 1952);
    return orFalse(() => signature.length === 3309 && ml_dsa65.verify(signature, message, publicKey));
  },
} satisfies Partial<SealCrypto>;
