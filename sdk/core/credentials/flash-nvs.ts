import { crc32, readU32le, writeU32le } from '../bytes/index.ts';
import { NVS_NOT_ENOUGH_SPACE, NVS_NOT_FOUND, nvsError } from './errors.ts';
import type { Nvs } from './nvs.ts';
import { checkNvsName, NVS_BLOB_BYTES_MAX, nvsHandle } from './nvs.ts';

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

/**
 * A store over as many flash pages as there are names: `names[i]` lives in page i, everything else is
 * NVS_NOT_ENOUGH_SPACE. A write is not atomic for its own name (erase, then program): the two-slot record above it is
 * what makes an update safe. `commit` has nothing to do, as in ESP-IDF: flash has no cache.
 */
export function flashNvs(flash: FlashPages, namespace: string, names: string[]): Nvs {
  const read = function (name: string): Uint8Array | null {
    const page = names.indexOf(name);
    if (page < 0) return null;
    const address = page * flash.pageBytes;
    const length = readU32le(flash.read(address, HEADER_BYTES), 4);
    if (length > NVS_BLOB_BYTES_MAX || length > flash.pageBytes - HEADER_BYTES) return null;
    const bytes = flash.read(address, HEADER_BYTES + length);
    if (crc32(bytes, 4, bytes.length, 0) !== readU32le(bytes, 0)) return null;
    return bytes.subarray(HEADER_BYTES);
  };
  return {
    open: function (asked, mode) {
      checkNvsName(asked);
      let found = asked === namespace;
      if (!found && mode === 'rw') throw nvsError(NVS_NOT_ENOUGH_SPACE, 'these pages belong to ' + namespace);
      if (mode === 'r') {
        let blobs = 0;
        for (let i = 0; found && i < names.length; i++) if (read(names[i] as string)) blobs++;
        found = blobs > 0;
      }
      if (!found) throw nvsError(NVS_NOT_FOUND, 'nothing is stored in ' + asked);
      return nvsHandle(mode, {
        read: read,
        write: function (name, blob) {
          const page = names.indexOf(name);
          if (page < 0 || HEADER_BYTES + blob.length > flash.pageBytes) {
            throw nvsError(NVS_NOT_ENOUGH_SPACE, 'there is no page for ' + name);
          }
          const bytes = new Uint8Array(HEADER_BYTES + ((blob.length + 3) & ~3));
          for (let i = HEADER_BYTES; i < bytes.length; i++) bytes[i] = 0xff;
          writeU32le(bytes, 4, blob.length);
          bytes.set(blob, HEADER_BYTES);
          writeU32le(bytes, 0, crc32(bytes, 4, HEADER_BYTES + blob.length, 0));
          flash.erase(page);
          flash.program(page * flash.pageBytes, bytes);
        },
        remove: function (name) {
          flash.erase(names.indexOf(name));
        },
        commit: function () {},
      });
    },
  };
}
