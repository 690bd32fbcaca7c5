import type { NativeCrypto, NativeE } from './platform.ts';

declare const $r: (name: 'crypto') => NativeCrypto;
declare const E: NativeE;

/*
 * What the interpreter does natively and the core does for itself elsewhere. The build puts the functions of `core/bytes`
 * that are called alike in their place: same bytes in, same bytes out, in a thousandth of the time.
 */

/** Of bytes, or of text, a character a byte. */
export function sha256(bytes: Uint8Array | string): Uint8Array {
  return new Uint8Array($r('crypto').SHA256(bytes));
}

/** One block of AES-256-ECB, decrypted. */
export function decryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  return new Uint8Array($r('crypto').AES.decrypt(block, key, { mode: 'ECB' }));
}

/** `seed` is 0 in all that this SDK checks. */
export function crc32(bytes: Uint8Array, from: number, to: number, _seed: number): number {
  return E.CRC32(bytes.subarray(from, to));
}

/** The arrays or texts one behind the other, a character a byte. */
export const concatBytes = E.toUint8Array;
export { concatBytes as fromAscii };
export const toAscii = E.toString;

export function copyBytes(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.subarray(from, to));
}

export function equalBytes(first: Uint8Array, second: Uint8Array): boolean {
  return first.join() === second.join();
}

export function toHex(bytes: Uint8Array): string {
  return [].map.call(bytes, (byte: number) => (byte + 256).toString(16).substring(1)).join('');
}

/** Of hex characters: what is read here was checked by whoever vouches for it. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(text.length / 2).map((_byte, i) => parseInt(text.substring(2 * i, 2 * i + 2), 16));
}

/** Every chip that the interpreter runs on is little-endian, and records begin where their memory begins. */
export function readU32le(bytes: Uint8Array, at: number): number {
  return new Uint32Array(bytes.buffer)[at / 4] as number;
}

export function writeU32le(bytes: Uint8Array, at: number, value: number): void {
  new Uint32Array(bytes.buffer)[at / 4] = value;
}
