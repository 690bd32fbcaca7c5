import * as builtin from 'node:crypto';
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  randomBytes,
  scryptSync,
  sign,
  verify,
} from 'node:crypto';
import { concat } from '../bytes.ts';
import { postQuantum } from './noble-post-quantum.ts';
import { expectAesGcmArguments, expectBytes, type MlKemKeyPair, type SealCrypto, type SealRandom } from './port.ts';

/** DER prefixes of the one fixed-size encoding each key has, so that raw bytes become key objects [RFC 8410, RFC 9935, RFC 9881]. */
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const ML_KEM_768_PKCS8 = Buffer.from('3054020100300b060960864801650304040204428040', 'hex');
const ML_DSA_65_SPKI = Buffer.from('308207b2300b0609608648016503040312038207a100', 'hex');

function privateKey(prefix: Uint8Array, raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(concat([prefix, raw])), format: 'der', type: 'pkcs8' });
}

function publicKey(prefix: Uint8Array, raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(concat([prefix, raw])), format: 'der', type: 'spki' });
}

/** The raw key at the end of a public key's DER form. */
function rawPublicKey(key: KeyObject, lengthBytes: number): Uint8Array {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(der.length - lengthBytes));
}

/** `crypto.decapsulate`, which Node has from 24.7 on; absent from the types of Node 20. */
type Decapsulate = (key: KeyObject, ciphertext: Uint8Array) => Uint8Array;

/** Whether this Node knows the algorithm of `probe`: asked once, at load, because OpenSSL differs from build to build. */
function supported(probe: () => unknown): boolean {
  try {
    probe();
    return true;
  } catch {
    return false;
  }
}

const nativeDecapsulate = (builtin as unknown as Record<string, unknown>)['decapsulate'] as Decapsulate | undefined;
const hasMlKem =
  typeof nativeDecapsulate === 'function' && supported(() => privateKey(ML_KEM_768_PKCS8, new Uint8Array(64).fill(1)));
// Any 1952 bytes are a key; making a real one in JavaScript would cost every program 0.3 s and 8 MB at its start.
const hasMlDsa = supported(() => publicKey(ML_DSA_65_SPKI, new Uint8Array(1952).fill(1)));

function nativeMlKem768KeyPair(seed: Uint8Array): MlKemKeyPair {
  expectBytes('ML-KEM-768 seed', seed, 64);
  const key = privateKey(ML_KEM_768_PKCS8, seed);
  return {
    publicKey: rawPublicKey(key, 1184),
    decapsulate(ciphertext) {
      expectBytes('ML-KEM-768 ciphertext', ciphertext, 1088);
      return new Uint8Array(nativeDecapsulate!(key, ciphertext));
    },
  };
}

/**
 * {@link SealCrypto} by `node:crypto` wherever it has the primitive: AES-GCM is some 30 times faster than JavaScript.
 * ML-KEM decapsulation and ML-DSA verification are native where this Node has them; encapsulation, key generation from
 * a seed and signing stay with noble, because they take their randomness as an argument and Node's do not.
 */
export const nodeCrypto: SealCrypto = {
  name: hasMlKem ? 'node:crypto with ML-KEM' : 'node:crypto',
  sha256() {
    const hash = createHash('sha256');
    return {
      update(bytes) {
        hash.update(bytes);
      },
      digest: () => new Uint8Array(hash.digest()),
    };
  },
  sha3_256: (bytes) => new Uint8Array(createHash('sha3-256').update(bytes).digest()),
  shake256: (bytes, lengthBytes) =>
    new Uint8Array(createHash('shake256', { outputLength: lengthBytes }).update(bytes).digest()),
  hmacSha256: (key, message) => new Uint8Array(createHmac('sha256', key).update(message).digest()),
  aesGcmSeal(key, nonce, aad, plaintext) {
    expectAesGcmArguments(key, nonce);
    const cipher = createCipheriv(key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce);
    if (aad.length > 0) cipher.setAAD(aad);
    const sealed: Uint8Array[] = [];
    for (const piece of plaintext) if (piece.length > 0) sealed.push(cipher.update(piece));
    cipher.final();
    sealed.push(cipher.getAuthTag());
    return sealed;
  },
  aesGcmOpen(key, nonce, aad, sealed) {
    expectAesGcmArguments(key, nonce);
    let ciphertextLeft = -16;
    for (const piece of sealed) ciphertextLeft += piece.length;
    if (ciphertextLeft < 0) return null;
    const decipher = createDecipheriv(key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce, {
      authTagLength: 16,
    });
    if (aad.length > 0) decipher.setAAD(aad);
    const plaintext: Uint8Array[] = [];
    const tag: Uint8Array[] = [];
    for (const piece of sealed) {
      const body = piece.subarray(0, ciphertextLeft);
      if (body.length > 0) plaintext.push(decipher.update(body));
      if (body.length < piece.length) tag.push(piece.subarray(body.length));
      ciphertextLeft -= body.length;
    }
    decipher.setAuthTag(tag.length === 1 ? tag[0]! : concat(tag));
    try {
      decipher.final();
    } catch {
      return null; // the only thing final() can refuse is the tag
    }
    return plaintext;
  },
  x25519PublicKey(secret) {
    expectBytes('X25519 secret', secret, 32);
    return rawPublicKey(privateKey(X25519_PKCS8, secret), 32);
  },
  x25519(secret, peer) {
    expectBytes('X25519 secret', secret, 32);
    expectBytes('X25519 public key', peer, 32);
    const key = privateKey(X25519_PKCS8, secret);
    try {
      return new Uint8Array(diffieHellman({ privateKey: key, publicKey: publicKey(X25519_SPKI, peer) }));
    } catch {
      return null; // OpenSSL refuses an all-zero result by failing the derivation
    }
  },
  mlKem768KeyPair: hasMlKem ? nativeMlKem768KeyPair : postQuantum.mlKem768KeyPair,
  mlKem768Encapsulate: postQuantum.mlKem768Encapsulate,
  ed25519PublicKey(seed) {
    expectBytes('Ed25519 seed', seed, 32);
    return rawPublicKey(privateKey(ED25519_PKCS8, seed), 32);
  },
  ed25519Sign(seed, message) {
    expectBytes('Ed25519 seed', seed, 32);
    return new Uint8Array(sign(null, message, privateKey(ED25519_PKCS8, seed)));
  },
  ed25519Verify(key, message, signature) {
    expectBytes('Ed25519 public key', key, 32);
    return signature.length === 64 && verify(null, message, publicKey(ED25519_SPKI, key), signature);
  },
  mlDsa65PublicKey: postQuantum.mlDsa65PublicKey,
  mlDsa65Sign: postQuantum.mlDsa65Sign,
  mlDsa65Verify(key, message, signature) {
    if (!hasMlDsa) return postQuantum.mlDsa65Verify(key, message, signature);
    expectBytes('ML-DSA-65 public key', key, 1952);
    return signature.length === 3309 && verify(null, message, publicKey(ML_DSA_65_SPKI, key), signature);
  },
  scrypt(passphrase, salt, costLog2) {
    const maxmem = 2 ** (costLog2 + 11); // twice what N·128·r needs; Node's own default is 32 MiB
    return new Uint8Array(scryptSync(passphrase, salt, 32, { N: 2 ** costLog2, r: 8, p: 1, maxmem }));
  },
};

/** Chance from the operating system. */
export const nodeRandom: SealRandom = {
  bytes: (lengthBytes) => new Uint8Array(randomBytes(lengthBytes)),
};
