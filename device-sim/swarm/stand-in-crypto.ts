import { type Crypto, nodeCrypto } from '#server';

/**
 * The server's primitives for runs that prove protocols and not ciphers: the same shapes and lengths, nothing secret.
 * SHA-256 stays the real one, because the device computes the other half of it; what only the server can undo (seals,
 * keys derived for itself) is mixed by 32-bit arithmetic. `--real-crypto` runs node:crypto instead.
 */
const TAG_BYTES = 16;
const HASH_BYTES = 32;

/** Eight lanes, each over every word: equal inputs give equal outputs, and unequal ones do not by accident. */
function mixed(parts: readonly Uint8Array[], salt: number): Uint8Array {
  let a = 0x6a09e667 ^ salt;
  let b = 0xbb67ae85;
  let c = 0x3c6ef372;
  let d = 0xa54ff53a;
  for (const part of parts) {
    a = Math.imul(a ^ part.length, 0x9e3779b1);
    for (let i = 0; i < part.length; i += 4) {
      const word =
        (part[i] as number) | ((part[i + 1] ?? 0) << 8) | ((part[i + 2] ?? 0) << 16) | ((part[i + 3] ?? 0) << 24);
      a = Math.imul(a ^ word, 0x85ebca77);
      a = (a << 13) | (a >>> 19);
      b = (Math.imul(b ^ a, 0xc2b2ae3d) + word) | 0;
      c = Math.imul(c + b, 0x27d4eb2f);
      c = (c << 15) | (c >>> 17);
      d = (d ^ c) + Math.imul(a, 5);
    }
  }
  const out = new Uint8Array(HASH_BYTES);
  for (let i = 0; i < HASH_BYTES; i += 4) {
    a = Math.imul(a ^ (a >>> 15), 0x2c1b3c6d) + d;
    b = Math.imul(b ^ (b >>> 13), 0x297a2d39) + a;
    d = (d ^ b) + c;
    const word = a ^ b ^ d;
    out[i] = word;
    out[i + 1] = word >>> 8;
    out[i + 2] = word >>> 16;
    out[i + 3] = word >>> 24;
  }
  return out;
}

function masked(key: Uint8Array, nonce: Uint8Array, bytes: Uint8Array): Uint8Array {
  const pad = mixed([key, nonce], 1);
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = (bytes[i] as number) ^ (pad[i & 31] as number) ^ (i >>> 5);
  return out;
}

const encoder = new TextEncoder();

export const standInCrypto: Crypto = {
  sha256: nodeCrypto.sha256,
  hmacSha256(key, ...parts) {
    // A proof of recovery and a device secret are made on the device, too.
    return isShared(parts) ? nodeCrypto.hmacSha256(key, ...parts) : mixed([key, ...parts], 2);
  },
  hkdfSha256({ ikm, salt, info, bytes }) {
    const key = mixed([ikm, salt, encoder.encode(info)], 3);
    return bytes === HASH_BYTES ? key : Uint8Array.from({ length: bytes }, (_, i) => key[i & 31] as number);
  },
  hash() {
    // Bodies are small here: one call over all of it costs a third of an object that is told piece by piece.
    const parts: Uint8Array[] = [];
    return {
      update: (bytes) => void parts.push(bytes.slice()),
      digest: () => nodeCrypto.sha256(...(parts.length === 1 ? parts : [Buffer.concat(parts)])),
    };
  },
  seal({ key, nonce, aad, plaintext }) {
    const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
    sealed.set(masked(key, nonce, plaintext));
    sealed.set(mixed([key, nonce, aad, plaintext], 4).subarray(0, TAG_BYTES), plaintext.length);
    return sealed;
  },
  open({ key, nonce, aad, sealed }) {
    const end = sealed.length - TAG_BYTES;
    if (end < 0) return null;
    const plaintext = masked(key, nonce, sealed.subarray(0, end));
    const tag = mixed([key, nonce, aad, plaintext], 4);
    for (let i = 0; i < TAG_BYTES; i++) if (tag[i] !== sealed[end + i]) return null;
    return plaintext;
  },
  wrapKey: nodeCrypto.wrapKey,
  unwrapKey: nodeCrypto.unwrapKey,
  verifyEd25519: nodeCrypto.verifyEd25519,
  equal: nodeCrypto.equal,
};

/** "fuselink device v1", "fuselink wrap v1", "fuselink recovery proof v1": what a device computes as well. */
function isShared(parts: readonly Uint8Array[]): boolean {
  const first = parts[0];
  return first !== undefined && first.length >= 9 && first[0] === 0x66 && first[8] === 0x20;
}
