import type { Reading, ReadingView } from '../batch/index.ts';
import { TIME_TRUSTS } from '../batch/index.ts';
import { copyInto, crc32, fromAscii, readU32le, readU48le, writeU32le, writeU48le } from '../bytes/index.ts';

/**
 * One record of a segment. A segment is nothing but frames, so that any of them can be lost without the others.
 *
 *   offset  bytes
 *        0      2  magic 0x46 0x52 ("FR")
 *        2      1  kind: 1 = reading, 2 = footer (the last frame of a segment that was closed in order)
 *        3      1  trust in the wall time: 0 none, 1 estimated, 2 trusted
 *        4      4  payload length n, u32 LE
 *        8      4  CRC-32 over the frame without these 4 bytes, u32 LE, begun with the segment's salt
 *       12      6  sequence, u48 LE
 *       18      6  monotonic ms since boot, u48 LE
 *       24      6  wall ms since 1970, u48 LE
 *       30      4  boot, u32 LE
 *       34      n  payload
 *
 * A footer's payload is `readings u32 ‖ first sequence u48`, its sequence the last one. The salt is the CRC-32 of the
 * segment's file name: a reading whose bytes are a frame of some other file is not taken for a record of this one.
 */
export const FRAME_HEADER_BYTES = 34;
const FOOTER_PAYLOAD_BYTES = 10;
export const FOOTER_BYTES = FRAME_HEADER_BYTES + FOOTER_PAYLOAD_BYTES;
const READING = 1;
const FOOTER = 2;

/** The largest reading a record holds: larger things are files and are sent as files. */
export const READING_BYTES_MAX = 262144;

export interface Footer {
  readings: number;
  firstSequence: number;
  lastSequence: number;
}

/** What was found at an offset. One is filled again and again: thousands of them would all have to be collected. */
export interface Frame {
  /** The payload is at `[from, to)` of `block`, and the frame ends at `to`. */
  reading: ReadingView;
  /** Set where the frame is a footer; then it is no reading. */
  footer: Footer | null;
}

export function openFrame(): Frame {
  return {
    reading: {
      block: new Uint8Array(0),
      from: 0,
      to: 0,
      sequence: 0,
      boot: 0,
      monotonicMs: 0,
      wallMs: 0,
      trust: 'none',
    },
    footer: null,
  };
}

export function segmentSalt(name: string): number {
  const bytes = fromAscii(name);
  return crc32(bytes, 0, bytes.length, 0);
}

const seal = function (bytes: Uint8Array, at: number, end: number, salt: number): void {
  writeU32le(bytes, at + 8, crc32(bytes, at + 12, end, crc32(bytes, at, at + 8, salt)));
};

/** Writes a reading's frame at an offset of `bytes` and gives where it ends. */
export function encodeReadingInto(bytes: Uint8Array, at: number, reading: Reading, salt: number): number {
  const end = at + FRAME_HEADER_BYTES + reading.bytes.length;
  bytes[at] = 0x46;
  bytes[at + 1] = 0x52;
  bytes[at + 2] = READING;
  bytes[at + 3] = TIME_TRUSTS.indexOf(reading.trust);
  writeU32le(bytes, at + 4, reading.bytes.length);
  writeU48le(bytes, at + 12, reading.sequence);
  writeU48le(bytes, at + 18, reading.monotonicMs);
  writeU48le(bytes, at + 24, reading.wallMs);
  writeU32le(bytes, at + 30, reading.boot);
  copyInto(bytes, at + FRAME_HEADER_BYTES, reading.bytes, 0, reading.bytes.length);
  seal(bytes, at, end, salt);
  return end;
}

export function encodeReading(reading: Reading, salt: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + reading.bytes.length);
  encodeReadingInto(bytes, 0, reading, salt);
  return bytes;
}

export function encodeFooter(footer: Footer, salt: number): Uint8Array {
  const bytes = new Uint8Array(FOOTER_BYTES);
  bytes[0] = 0x46;
  bytes[1] = 0x52;
  bytes[2] = FOOTER;
  writeU32le(bytes, 4, FOOTER_PAYLOAD_BYTES);
  writeU48le(bytes, 12, footer.lastSequence);
  writeU32le(bytes, FRAME_HEADER_BYTES, footer.readings);
  writeU48le(bytes, FRAME_HEADER_BYTES + 4, footer.firstSequence);
  seal(bytes, 0, FOOTER_BYTES, salt);
  return bytes;
}

/** Fills `frame` with what begins at an offset. False where there is none that is whole and passes its checksum. */
export function decodeFrame(bytes: Uint8Array, at: number, salt: number, frame: Frame): boolean {
  if (bytes[at] !== 0x46 || bytes[at + 1] !== 0x52 || at + FRAME_HEADER_BYTES > bytes.length) return false;
  const kind = bytes[at + 2];
  const trust = TIME_TRUSTS[bytes[at + 3] as number];
  const length = readU32le(bytes, at + 4);
  const payload = at + FRAME_HEADER_BYTES;
  const end = payload + length;
  if (length > READING_BYTES_MAX || end > bytes.length || trust === undefined) return false;
  if (crc32(bytes, at + 12, end, crc32(bytes, at, at + 8, salt)) !== readU32le(bytes, at + 8)) return false;
  const isFooter = kind === FOOTER && length === FOOTER_PAYLOAD_BYTES;
  if (!isFooter && kind !== READING) return false;
  const reading = frame.reading;
  reading.block = bytes;
  reading.from = payload;
  reading.to = end;
  reading.sequence = readU48le(bytes, at + 12);
  reading.boot = readU32le(bytes, at + 30);
  reading.monotonicMs = readU48le(bytes, at + 18);
  reading.wallMs = readU48le(bytes, at + 24);
  reading.trust = trust;
  frame.footer = isFooter
    ? {
        readings: readU32le(bytes, payload),
        firstSequence: readU48le(bytes, payload + 4),
        lastSequence: reading.sequence,
      }
    : null;
  return true;
}

/**
 * Bytes from `at` on that are needed to tell whether a frame begins there: 0 where none can. More than there are means
 * that what was read ends in the middle of what may be a frame.
 */
export function frameBytesWanted(bytes: Uint8Array, at: number): number {
  const left = bytes.length - at;
  if (bytes[at] !== 0x46 || (left > 1 && bytes[at + 1] !== 0x52)) return 0;
  if (left < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
  const length = readU32le(bytes, at + 4);
  return length > READING_BYTES_MAX ? 0 : FRAME_HEADER_BYTES + length;
}
