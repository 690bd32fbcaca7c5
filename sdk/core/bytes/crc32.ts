/**
 * CRC-32 as in zlib, PNG and ESP-IDF's `esp_rom_crc32_le` (reflected polynomial 0xEDB88320).
 * A table of 16 entries, not 256: it must fit a small device, and a nibble at a time is fast enough for a log.
 */
const TABLE = [
  0, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344,
  0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
];

/**
 * CRC-32 of `bytes[from, to)`, continued from `seed` (0 to begin; the result of an earlier call to go on, or a salt
 * that makes records of one file invalid in another). Returns an unsigned 32-bit integer.
 */
export function crc32(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let crc = ~seed;
  for (let i = from; i < to; i++) {
    crc ^= bytes[i] as number;
    crc = (crc >>> 4) ^ (TABLE[crc & 15] as number);
    crc = (crc >>> 4) ^ (TABLE[crc & 15] as number);
  }
  return ~crc >>> 0;
}
