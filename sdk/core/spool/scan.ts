import type { Reading, ReadingView } from '../batch/index.ts';
import { copyInto } from '../bytes/index.ts';
import type { Footer, Frame } from './frame.ts';
import { decodeFrame, frameBytesWanted, openFrame, segmentSalt } from './frame.ts';
import type { SpoolStorage } from './types.ts';

/** Bytes read at once: a segment is looked at through a window, so that its size costs no memory. */
export const WINDOW_BYTES = 65536;

export interface Scan {
  readings: number;
  /** Of the readings: first and last sequence, their payload bytes, how many boots began, and the last one's boot. */
  firstSequence: number;
  lastSequence: number;
  payloadBytes: number;
  boots: number;
  boot: number;
  footer: Footer | null;
  /** Bytes that belong to no frame. */
  damagedBytes: number;
  /** Where the last whole frame that was taken or passed ends: where to go on, or equal to the length at a clean end. */
  cleanEnd: number;
  /** `end` of the bytes, or the limit that was met first. */
  stopped: 'end' | 'size' | 'through';
}

export interface ScanLimits {
  count: number;
  /** Payload bytes; the first reading may be larger where `atLeastOne` is set. */
  bytes: number;
  atLeastOne: boolean;
  /** Readings of a higher sequence are not looked for. */
  through: number;
  /** Boots that may still begin, and the boot of the reading before (−1 for none). */
  boots: number;
  boot: number;
}

export const NO_LIMITS: ScanLimits = {
  count: 1e15,
  bytes: 1e15,
  atLeastOne: true,
  through: 1e15,
  boots: 1e15,
  boot: -1,
};

/** Given each reading in turn. View and block are overwritten after the call: copy what is to be kept. */
export type TakeReading = (reading: ReadingView) => void;

export const takeNothing: TakeReading = function () {};

/** Takes a frame into the scan. False where a limit stands before it. */
const takeFrame = function (scan: Scan, frame: Frame, limits: ScanLimits, take: TakeReading): boolean {
  const reading = frame.reading;
  if (frame.footer) {
    scan.footer = frame.footer;
    return true;
  }
  // A sequence that is not above the one before is a repeat: written again after a failed write.
  if (reading.sequence <= scan.lastSequence) return true;
  if (reading.sequence > limits.through) {
    scan.stopped = 'through';
    return false;
  }
  const payloadBytes = scan.payloadBytes + reading.to - reading.from;
  const boots = scan.boots + (reading.boot === scan.boot ? 0 : 1);
  const first = limits.atLeastOne && scan.readings === 0;
  if (boots > limits.boots || scan.readings >= limits.count || (payloadBytes > limits.bytes && !first)) {
    scan.stopped = 'size';
    return false;
  }
  if (scan.readings === 0) scan.firstSequence = reading.sequence;
  scan.readings++;
  scan.payloadBytes = payloadBytes;
  scan.boots = boots;
  scan.boot = reading.boot;
  scan.lastSequence = reading.sequence;
  take(reading);
  return true;
};

/**
 * All that can be read of a segment's bytes `[from, end)` within the limits, handed to `take` one by one: no more than a
 * window of it is in memory. Behind damage the next frame is found by its magic and checksum. A file that cannot be
 * read, or is shorter than it should be, ends where it ends.
 */
export function scanSegment(
  storage: { read: SpoolStorage['read'] },
  name: string,
  from: number,
  end: number,
  afterSequence: number,
  limits: ScanLimits,
  take: TakeReading,
): Scan {
  const scan: Scan = {
    readings: 0,
    firstSequence: 1,
    lastSequence: afterSequence,
    payloadBytes: 0,
    boots: 0,
    boot: limits.boot,
    footer: null,
    damagedBytes: 0,
    cleanEnd: from,
    stopped: 'end',
  };
  const salt = segmentSalt(name);
  const frame = openFrame();
  let window: Uint8Array = new Uint8Array(0);
  let windowAt = from;
  let at = from;
  while (at < end) {
    const inWindow = at - windowAt;
    const wanted = inWindow < window.length ? frameBytesWanted(window, inWindow) : WINDOW_BYTES;
    if (wanted > window.length - inWindow && windowAt + window.length < end) {
      const asked = Math.min(end - at, Math.max(WINDOW_BYTES, wanted));
      const found = storage.read(name, at, asked);
      window = found || new Uint8Array(0);
      windowAt = at;
      if (window.length < asked) end = at + window.length;
      continue;
    }
    if (wanted === 0 || !decodeFrame(window, inWindow, salt, frame)) {
      scan.damagedBytes++;
      at++;
      continue;
    }
    if (!takeFrame(scan, frame, limits, take)) return scan;
    at = windowAt + frame.reading.to;
    scan.cleanEnd = at;
  }
  return scan;
}

/** Keeps the readings it is given, in arrays of their own. */
export interface ReadingKeeper {
  readings: Reading[];
  take: TakeReading;
}

const SLAB_BYTES_MIN = 1024;

/** Readings' bytes lie side by side in a few arrays: one for each of thousands would cost more than what is in it. */
export function readingKeeper(): ReadingKeeper {
  let slab = new Uint8Array(0);
  let used = 0;
  const keeper: ReadingKeeper = {
    readings: [],
    take: function (view) {
      const length = view.to - view.from;
      if (used + length > slab.length) {
        slab = new Uint8Array(Math.max(length, Math.min(WINDOW_BYTES, Math.max(SLAB_BYTES_MIN, 2 * slab.length))));
        used = 0;
      }
      copyInto(slab, used, view.block, view.from, view.to);
      keeper.readings.push({
        bytes: slab.subarray(used, used + length),
        sequence: view.sequence,
        boot: view.boot,
        monotonicMs: view.monotonicMs,
        wallMs: view.wallMs,
        trust: view.trust,
      });
      used += length;
    },
  };
  return keeper;
}
