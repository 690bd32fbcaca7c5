import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  hash,
  hkdfSync,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import type { Crypto } from '../../ports/crypto.ts';
import { bytesPassed } from './young-garbage.ts';

const GCM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HASH_BYTES = 32;
/** [RFC 5869 §2.2]: no salt means one hash length of zeros. */
const ZERO_SALT = new Uint8Array(HASH_BYTES);
const FIRST_BLOCK = Uint8Array.of(1);
/** [RFC 3394 §2.2.3.1] */
const WRAP_INITIAL_VALUE = new Uint8Array(8).fill(0xa6);

/** [RFC 8410 §4]: what stands before the 32 bytes of a public key in DER. */
const ED25519_DER = Buffer.from('302a300506032b6570032100', 'hex');

/** The port's primitives from node:crypto (OpenSSL), all synchronous. */
export const nodeCrypto: Crypto = {
  sha256(first, ...parts) {
    // In one call: a third of the price of an object for it, and this is done with every request.
    if (parts.length === 0 && first !== undefined) return plain(hash('sha256', first, 'buffer'));
    const running = createHash('sha256');
    if (first !== undefined) running.update(first);
    for (const part of parts) running.update(part);
    return plain(running.digest());
  },

  hmacSha256(key, ...parts) {
    const hmac = createHmac('sha256', key);
    for (const part of parts) hmac.update(part);
    return plain(hmac.digest());
  },

  hkdfSha256({ ikm, salt, info, bytes }) {
    // One output block is all that is ever asked for, and two HMACs are twice as fast as hkdfSync's key objects.
    if (bytes !== HASH_BYTES) return new Uint8Array(hkdfSync('sha256', ikm, salt, info, bytes));
    const pseudorandomKey = createHmac('sha256', salt.byteLength === 0 ? ZERO_SALT : salt)
      .update(ikm)
      .digest();
    return plain(createHmac('sha256', pseudorandomKey).update(info).update(FIRST_BLOCK).digest()); // [RFC 5869 §2.3]
  },

  hash() {
    const running = createHash('sha256');
    return {
      update: (bytes) => void running.update(bytes),
      digest: () => plain(running.digest()),
    };
  },

  seal({ key, nonce, aad, plaintext }) {
    checkSizes(key, nonce);
    bytesPassed(plaintext.byteLength);
    const cipher = createCipheriv(GCM, key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(aad, { plaintextLength: plaintext.byteLength });
    // GCM is a stream mode: `update` gives everything and `final` nothing, so one copy makes room for the tag.
    const ciphertext = cipher.update(plaintext);
    cipher.final();
    const sealed = new Uint8Array(ciphertext.byteLength + TAG_BYTES);
    sealed.set(ciphertext);
    sealed.set(cipher.getAuthTag(), ciphertext.byteLength);
    return sealed;
  },

  open({ key, nonce, aad, sealed }) {
    checkSizes(key, nonce);
    bytesPassed(sealed.byteLength);
    if (sealed.byteLength < TAG_BYTES) return null;
    const split = sealed.byteLength - TAG_BYTES;
    const decipher = createDecipheriv(GCM, key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(aad, { plaintextLength: split });
    decipher.setAuthTag(sealed.subarray(split));
    const plaintext = decipher.update(sealed.subarray(0, split));
    try {
      decipher.final();
    } catch {
      plaintext.fill(0);
      return null;
    }
    return plain(plaintext);
  },

  wrapKey(kek, key) {
    if (kek.byteLength !== KEY_BYTES)
      throw new RangeError(`expected a wrapping key of 32 bytes, came ${kek.byteLength}`);
    const cipher = createCipheriv('id-aes256-wrap', kek, WRAP_INITIAL_VALUE);
    return plain(Buffer.concat([cipher.update(key), cipher.final()]));
  },

  unwrapKey(kek, wrapped) {
    if (kek.byteLength !== KEY_BYTES)
      throw new RangeError(`expected a wrapping key of 32 bytes, came ${kek.byteLength}`);
    const decipher = createDecipheriv('id-aes256-wrap', kek, WRAP_INITIAL_VALUE);
    try {
      return plain(Buffer.concat([decipher.update(wrapped), decipher.final()]));
    } catch {
      return null;
    }
  },

  verifyEd25519(publicKey, message, signature) {
    if (publicKey.byteLength !== KEY_BYTES) return false;
    const der = Buffer.concat([ED25519_DER, publicKey]);
    return verify(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
  },

  equal(a, b) {
    return a.byteLength === b.byteLength && timingSafeEqual(a, b);
  },
};

/** The same memory as a bare Uint8Array: a Buffer's `slice` and `toString` mean other things. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

function checkSizes(key: Uint8Array, nonce: Uint8Array): void {
  if (key.byteLength !== KEY_BYTES) throw new RangeError(`expected a key of 32 bytes, came ${key.byteLength}`);
  if (nonce.byteLength !== NONCE_BYTES) throw new RangeError(`expected a nonce of 12 bytes, came ${nonce.byteLength}`);
}
