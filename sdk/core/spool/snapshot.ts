import { crc32, fromAscii, toAscii, toHex, writeU32be } from '../bytes/index.ts';

/** What of a lane must survive a reboot besides its segments. */
export interface LaneSnapshot {
  lane: number;
  /** Everything up to this sequence was delivered, dropped or given up. */
  done: number;
  /** The next sequence to be given is at least this. */
  next: number;
  /** The batch that may be on its way: sequences after `done` up to `last`, under a key made of `boot` and `random`. */
  lease: LeaseSnapshot | null;
  dropped: { [reason: string]: number };
}

export interface LeaseSnapshot {
  first: number;
  last: number;
  boot: number;
  /** 32 hex characters. */
  random: string;
}

export interface SpoolSnapshot {
  /** Rises with every write; of two files the higher one counts. */
  counter: number;
  spool: string;
  boot: number;
  lanes: LaneSnapshot[];
  wear: number[];
}

/** The two files that are overwritten in turn, in place: that needs no free space once they exist. */
export const SNAPSHOT_NAMES = ['state-0', 'state-1'];
/** Both are made in this size, and no snapshot is larger: one block of most file systems and flash. */
export const SNAPSHOT_BYTES = 4096;

/**
 * One line of text: `crc32 hex(8) ‖ " " ‖ JSON ‖ "\n"`, the CRC over the JSON. Readable with
 * `cat`. Throws RangeError when it does not fit, which the limit on lanes prevents.
 */
export function encodeSnapshot(snapshot: SpoolSnapshot): Uint8Array {
  const json = fromAscii(JSON.stringify(snapshot));
  if (json.length + 10 > SNAPSHOT_BYTES) throw new RangeError('a snapshot has at most 4086 bytes, not ' + json.length);
  const bytes = new Uint8Array(10 + json.length);
  bytes[8] = 32;
  const crc = new Uint8Array(4);
  writeU32be(crc, 0, crc32(json, 0, json.length, 0));
  bytes.set(fromAscii(toHex(crc)), 0);
  bytes.set(json, 9);
  bytes[9 + json.length] = 10;
  return bytes;
}

/** The snapshot, or null for anything that is not whole. */
export function decodeSnapshot(bytes: Uint8Array): SpoolSnapshot | null {
  let end = 9;
  while (end < bytes.length && bytes[end] !== 10) end++;
  if (end >= bytes.length) return null;
  const crc = new Uint8Array(4);
  writeU32be(crc, 0, crc32(bytes, 9, end, 0));
  if (toAscii(bytes.subarray(0, 8)) !== toHex(crc)) return null;
  try {
    return JSON.parse(toAscii(bytes.subarray(9, end))) as SpoolSnapshot;
  } catch (_error) {
    return null;
  }
}
