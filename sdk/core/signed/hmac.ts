import { concatBytes } from '../bytes/index.ts';
import type { Sha256 } from '../credentials/key.ts';

const BLOCK_BYTES = 64;

/** HMAC-SHA-256 [RFC 2104] over a one-shot SHA-256, which is all small interpreters have. `key`: at most 64 bytes. */
export function hmacSha256(sha256: Sha256, key: Uint8Array, message: Uint8Array): Uint8Array {
  const inner = new Uint8Array(BLOCK_BYTES);
  const outer = new Uint8Array(BLOCK_BYTES);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const byte = i < key.length ? (key[i] as number) : 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  return sha256(concatBytes(outer, sha256(concatBytes(inner, message))));
}
