import { gcm } from '@noble/ciphers/aes.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { hmac } from '@noble/hashes/hmac.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { sha3_256, shake256 } from '@noble/hashes/sha3.js';
import { concat } from '../bytes.ts';
import { orFalse, postQuantum } from './noble-post-quantum.ts';
import { expectAesGcmArguments, expectBytes, type SealCrypto, type SealRandom } from './port.ts';

/** One contiguous array of the pieces, without a copy where there is only one. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : concat(pieces);
}

function isAllZero(bytes: Uint8Array): boolean {
  let any = 0;
  for (const byte of bytes) any |= byte;
  return any === 0;
}

/**
 * {@link SealCrypto} in JavaScript alone, by the audited @noble libraries: runs in browsers on plain HTTP, where
 * `crypto.subtle` does not exist, and on anything else that has typed arrays and BigInt.
 */
export const nobleCrypto: SealCrypto = {
  name: 'noble',
  sha256() {
    const hash = sha256.create();
    return {
      update(bytes) {
        hash.update(bytes);
      },
      digest: () => hash.digest(),
    };
  },
  sha3_256: (bytes) => sha3_256(bytes),
  shake256: (bytes, lengthBytes) => shake256(bytes, { dkLen: lengthBytes }),
  hmacSha256: (key, message) => hmac(sha256, key, message),
  aesGcmSeal(key, nonce, aad, plaintext) {
    expectAesGcmArguments(key, nonce);
    return [gcm(key, nonce, aad).encrypt(joined(plaintext))];
  },
  aesGcmOpen(key, nonce, aad, sealed) {
    expectAesGcmArguments(key, nonce);
    const whole = joined(sealed);
    if (whole.length < 16) return null;
    try {
      return [gcm(key, nonce, aad).decrypt(whole)];
    } catch {
      return null; // sizes were checked: the tag did not hold
    }
  },
  x25519PublicKey(secret) {
    expectBytes('X25519 secret', secret, 32);
    return x25519.getPublicKey(secret);
  },
  x25519(secret, publicKey) {
    expectBytes('X25519 secret', secret, 32);
    expectBytes('X25519 public key', publicKey, 32);
    let shared: Uint8Array;
    try {
      shared = x25519.getSharedSecret(secret, publicKey);
    } catch {
      return null; // noble refuses points of small order by throwing
    }
    return isAllZero(shared) ? null : shared;
  },
  ...postQuantum,
  ed25519PublicKey(seed) {
    expectBytes('Ed25519 seed', seed, 32);
    return ed25519.getPublicKey(seed);
  },
  ed25519Sign(seed, message) {
    expectBytes('Ed25519 seed', seed, 32);
    return ed25519.sign(message, seed);
  },
  ed25519Verify(publicKey, message, signature) {
    expectBytes('Ed25519 public key', publicKey, 32);
    // RFC 8032 rules, not ZIP 215: what OpenSSL refuses is refused here too.
    return orFalse(() => signature.length === 64 && ed25519.verify(signature, message, publicKey, { zip215: false }));
  },
  scrypt(passphrase, salt, costLog2) {
    return scrypt(passphrase, salt, { N: 2 ** costLog2, r: 8, p: 1, dkLen: 32, maxmem: 2 ** (costLog2 + 11) });
  },
};

/** Chance from the platform's `crypto.getRandomValues`, which browsers offer on plain HTTP too. */
export const webRandom: SealRandom = {
  bytes(lengthBytes) {
    return globalThis.crypto.getRandomValues(new Uint8Array(lengthBytes));
  },
};
