import { concatBytes, copyBytes, toHex } from '../bytes/index.ts';

/** One block of AES-256-ECB, decrypted: all that key wrap needs, and what Espruino has natively. */
export type AesBlock = (key: Uint8Array, block: Uint8Array) => Uint8Array;

/** [RFC 3394 §2.2.3.1] */
const INITIAL_VALUE = 'a6a6a6a6a6a6a6a6';

/**
 * AES key unwrap [RFC 3394 §2.2.2]. `kek`: 32 bytes; `wrapped`: 8 bytes more than the key, a multiple of 8, at least 24 and
 * at most 40. Null where it was altered or wrapped under another key.
 */
export function unwrapKey(decrypt: AesBlock, kek: Uint8Array, wrapped: Uint8Array): Uint8Array | null {
  let check = copyBytes(wrapped, 0, 8);
  const key = copyBytes(wrapped, 8, wrapped.length);
  const count = key.length / 8;
  for (let t = 6 * count; t > 0; t--) {
    const at = 8 * ((t - 1) % count);
    // t fits the last byte: 6 × 4 at most.
    check[7] = (check[7] as number) ^ t;
    const block = decrypt(kek, concatBytes(check, key.subarray(at, at + 8)));
    check = copyBytes(block, 0, 8);
    key.set(block.subarray(8), at);
  }
  return toHex(check) === INITIAL_VALUE ? key : null;
}
