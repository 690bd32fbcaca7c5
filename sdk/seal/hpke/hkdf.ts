import { concat } from '../bytes.ts';
import type { SealCrypto } from '../crypto/port.ts';

/** HKDF-Extract with SHA-256 [RFC 5869 §2.2]; an empty salt stands for 32 zero bytes. */
export function hkdfExtract(crypto: SealCrypto, salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  return crypto.hmacSha256(salt.length === 0 ? new Uint8Array(32) : salt, ikm);
}

/** HKDF-Expand with SHA-256 [RFC 5869 §2.3]. Throws `RangeError` above 255 · 32 bytes of output. */
export function hkdfExpand(crypto: SealCrypto, prk: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array {
  if (lengthBytes > 255 * 32) throw new RangeError(`HKDF output: expected at most 8160 bytes, got ${lengthBytes}`);
  const output = new Uint8Array(lengthBytes);
  let block = new Uint8Array(0) as Uint8Array;
  for (let offset = 0, counter = 1; offset < lengthBytes; offset += 32, counter++) {
    block = crypto.hmacSha256(prk, concat([block, info, Uint8Array.of(counter)]));
    output.set(block.subarray(0, lengthBytes - offset), offset);
  }
  return output;
}
