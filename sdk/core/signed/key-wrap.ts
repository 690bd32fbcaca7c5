import { copyBytes } from '../bytes/index.ts';

/** One block of AES-256-ECB, decrypted: all that key wrap needs, and what Espruino has natively. */
export type AesBlock = (key: Uint8Array, block: Uint8Array) => Uint8Array;

/**
 * AES key unwrap [RFC 3394 §2.2.2] with the default initial value. `kek`: 32 bytes; `wrapped`: 8 bytes more than the key,
 * a multiple of 8, of at most 40. Null where it was altered or wrapped under another key.
 */
export function unwrapKey(decrypt: AesBlock, kek: Uint8Array, wrapped: Uint8Array): Uint8Array | null {
  const registers = copyBytes(wrapped, 0, wrapped.length);
  const count = (wrapped.length >> 3) - 1;
  for (let t = 6 * count; t > 0; t--) {
    const at = 8 * (((t - 1) % count) + 1);
    const block = new Uint8Array(16);
    for (let i = 0; i < 8; i++) {
      block[i] = registers[i] as number;
      block[i + 8] = registers[at + i] as number;
    }
    // A ‖ R[i], where t fits the last byte of A: 6 × 4 at most.
    block[7] = (block[7] as number) ^ t;
    const plain = decrypt(kek, block);
    for (let i = 0; i < 8; i++) {
      registers[i] = plain[i] as number;
      registers[at + i] = plain[i + 8] as number;
    }
  }
  let wrong = 0;
  for (let i = 0; i < 8; i++) wrong |= (registers[i] as number) ^ 0xa6;
  return wrong || count < 2 ? null : copyBytes(registers, 8, registers.length);
}
