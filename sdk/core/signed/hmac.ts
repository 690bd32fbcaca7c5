import { concatBytes } from '../bytes/index.ts';
import type { Sha256 } from '../credentials/key.ts';

/** HMAC-SHA-256 [RFC 2104] over a one-shot SHA-256, which is all small interpreters have. `key`: at most 64 bytes. */
export function hmacSha256(sha256: Sha256, key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(64);
  block.set(key);
  const inner = sha256(
    concatBytes(
      block.map((byte) => byte ^ 0x36),
      message,
    ),
  );
  return sha256(
    concatBytes(
      block.map((byte) => byte ^ 0x5c),
      inner,
    ),
  );
}
