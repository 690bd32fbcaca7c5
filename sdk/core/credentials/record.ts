import { KEY_BYTES } from '#sdk/protocol';
import { copyBytes, crc32, fromHex, readU32le, toHex, writeU32le } from '../bytes/index.ts';
import type { ApiKey, KeyForm } from './key.ts';
import { apiKey } from './key.ts';

/**
 * One slot of the credential store. Integers are little-endian; 15 whole words, so that flash takes it as it is.
 *
 *   offset  bytes
 *        0      2  magic 0x46 0x4C ("FL")
 *        2      1  version, 1
 *        3      1  key form: 1 = 64 hex characters, 2 = pdm_
 *        4      4  generation, u32
 *        8      8  fingerprint of the base: the key this one was staged beside (zeros when provisioned)
 *       16      8  fingerprint of the key
 *       24     32  the key: 32 raw bytes (form 1) or 32 ASCII characters (form 2)
 *       56      4  CRC-32 over bytes 0 to 55, u32
 *
 * Vectors that every implementation shares: `vectors/slot-record.json`.
 */
export const SLOT_BYTES = 60;
const CRC_AT = 56;
/** Magic and version as the first word holds them, and one form in it. */
const HEAD = 0x014c46;
const FORM_UNIT = 0x1000000;

/** The base fingerprint of a key that was provisioned, not rotated to. */
export const NO_BASE = '0000000000000000';

export interface SlotRecord {
  /** u32; never falls while a device is in use. */
  generation: number;
  /** 16 hex characters each. */
  base: string;
  fingerprint: string;
  key: ApiKey;
}

/** The 60 bytes of a record. Fingerprints are 16 hex characters, the key 32 bytes: checked where they are made. */
export function encodeSlot(record: SlotRecord): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  writeU32le(bytes, 0, HEAD + record.key.form * FORM_UNIT);
  writeU32le(bytes, 4, record.generation);
  bytes.set(fromHex(record.base) as Uint8Array, 8);
  bytes.set(fromHex(record.fingerprint) as Uint8Array, 16);
  bytes.set(record.key.bytes(), 24);
  writeU32le(bytes, CRC_AT, crc32(bytes, 0, CRC_AT, 0));
  return bytes;
}

/** The record, or null for anything that is not exactly one: wrong length, magic, version, form or checksum. */
export function decodeSlot(bytes: Uint8Array): SlotRecord | null {
  if (bytes.length !== SLOT_BYTES) return null;
  const form = (readU32le(bytes, 0) - HEAD) / FORM_UNIT;
  if (form !== 1 && form !== 2) return null;
  if (crc32(bytes, 0, CRC_AT, 0) !== readU32le(bytes, CRC_AT)) return null;
  return {
    generation: readU32le(bytes, 4),
    base: toHex(bytes.subarray(8, 16)),
    fingerprint: toHex(bytes.subarray(16, 24)),
    key: apiKey(form as KeyForm, copyBytes(bytes, 24, 24 + KEY_BYTES)),
  };
}
