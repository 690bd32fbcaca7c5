import { crc32, readU32le, writeU32le } from '../bytes/index.ts';

/**
 * Raw NOR flash as microcontrollers have it: erasing sets a page to 0xFF, programming clears bits, a word at a time.
 * On Espruino: `require("Flash")` over pages the firmware leaves alone. Addresses count from the first page given.
 */
export interface FlashPages {
  /** Bytes that one erase clears, a multiple of 4 (4096 almost everywhere). */
  pageBytes: number;
  /** Sets every byte of the page to 0xFF. A cut leaves anything in it. */
  erase(page: number): void;
  /** Programs whole words at an address divisible by 4, in order. A cut leaves a prefix and one word of nonsense. */
  program(address: number, words: Uint8Array): void;
  read(address: number, length: number): Uint8Array;
}

/**
 * One page, one name: what is in a page never moves, so a cut can only ever hurt the name being written. (A log with
 * compaction in one page, or both slots in one page, loses two keys with one cut.)
 *
 *   offset  bytes
 *        0      4  CRC-32 over what follows, up to the end of the blob, u32 LE
 *        4      4  blob length, u32 LE (0xFFFFFFFF in an erased page)
 *        8      n  blob, padded with 0xFF to a multiple of 4
 */
const HEADER_BYTES = 8;

/** Bytes a page takes of a blob. */
export function pageRoom(flash: FlashPages): number {
  return flash.pageBytes - HEADER_BYTES;
}

/** The blob in a page, or null where there is none that passes its checksum. */
export function readPage(flash: FlashPages, page: number): Uint8Array | null {
  const address = page * flash.pageBytes;
  const length = readU32le(flash.read(address, HEADER_BYTES), 4);
  if (length > pageRoom(flash)) return null;
  const bytes = flash.read(address, HEADER_BYTES + length);
  return crc32(bytes, 4, bytes.length, 0) === readU32le(bytes, 0) ? bytes.subarray(HEADER_BYTES) : null;
}

/** Erases a page and programs a blob that fits it. A cut leaves the old blob, the new one, or none. */
export function writePage(flash: FlashPages, page: number, blob: Uint8Array): void {
  const end = HEADER_BYTES + blob.length;
  const bytes = new Uint8Array((end + 3) & ~3);
  for (let i = end; i < bytes.length; i++) bytes[i] = 0xff;
  writeU32le(bytes, 4, blob.length);
  bytes.set(blob, HEADER_BYTES);
  writeU32le(bytes, 0, crc32(bytes, 4, end, 0));
  flash.erase(page);
  flash.program(page * flash.pageBytes, bytes);
}
