import { decodeFrame, FOOTER_BYTES, openFrame, segmentSalt } from './frame.ts';
import { NO_LIMITS, scanSegment, takeNothing } from './scan.ts';
import type { LaneSnapshot, SpoolSnapshot } from './snapshot.ts';
import { decodeSnapshot, SNAPSHOT_BYTES, SNAPSHOT_NAMES } from './snapshot.ts';
import type { Lane, LaneOptions, Segment, SpoolOptions, SpoolState, SpoolStorage } from './types.ts';
import { ageWear, openWear } from './wear.ts';

/** Lanes a spool may have: what fits its snapshot. */
export const LANES_MAX = 8;

const DIGITS = '0123456789';

export function segmentName(lane: number, number: number): string {
  return 'lane-' + lane + '-' + (1e10 + number).toString().substring(1);
}

export function nameOf(lane: Lane, segment: Segment): string {
  return segmentName(lane.options.lane, segment.number);
}

/** Lane and number of a segment's file name, or null for any other file. */
const parseName = function (name: string): { lane: number; number: number } | null {
  const parts = name.split('-');
  if (parts.length !== 3 || parts[0] !== 'lane') return null;
  const digits = (parts[1] as string) + (parts[2] as string);
  for (let i = 0; i < digits.length; i++) if (DIGITS.indexOf(digits.charAt(i)) < 0) return null;
  const lane = Number(parts[1]);
  const number = Number(parts[2]);
  return lane < LANES_MAX && segmentName(lane, number) === name ? { lane: lane, number: number } : null;
};

const emptyLane = function (options: LaneOptions): Lane {
  return {
    options: options,
    segments: [],
    growing: false,
    unsynced: false,
    unsyncedFolder: false,
    syncDueMs: null,
    nextSegment: 1,
    nextSequence: 1,
    done: 0,
    lease: null,
    leaseReadings: 0,
    gaps: [],
    readSegment: 0,
    readOffset: 0,
    readSequence: 0,
    pending: [],
    pendingBytes: 0,
    waiting: [],
    waitingBytes: 0,
    bytes: 0,
    dropped: {},
    faults: 0,
  };
};

const readSnapshot = function (storage: SpoolStorage): SpoolSnapshot | null {
  let newest: SpoolSnapshot | null = null;
  for (let i = 0; i < SNAPSHOT_NAMES.length; i++) {
    const bytes = storage.read(SNAPSHOT_NAMES[i] as string, 0, SNAPSHOT_BYTES);
    const snapshot = bytes && decodeSnapshot(bytes);
    if (snapshot && (!newest || snapshot.counter > newest.counter)) newest = snapshot;
  }
  return newest;
};

interface Found {
  segment: Segment;
  /** Ends in a whole frame and was not closed: more may be appended. */
  open: boolean;
  damagedBytes: number;
  boot: number;
}

/** A closed segment is known from its last 44 bytes; only one that was not closed is read whole. */
const inspect = function (storage: SpoolStorage, name: string, number: number, bytes: number): Found {
  const salt = segmentSalt(name);
  const found: Found = {
    segment: { number: number, firstSequence: 1, lastSequence: 0, readings: 0, bytes: bytes },
    open: false,
    damagedBytes: 0,
    boot: 0,
  };
  const end = bytes >= FOOTER_BYTES ? storage.read(name, bytes - FOOTER_BYTES, FOOTER_BYTES) : null;
  const last = openFrame();
  let footer = end && decodeFrame(end, 0, salt, last) ? last.footer : null;
  if (!footer) {
    const scan = scanSegment(storage, name, 0, bytes, 0, NO_LIMITS, takeNothing);
    found.damagedBytes = scan.damagedBytes;
    footer = scan.footer;
    if (scan.readings > 0) {
      found.open = !footer && scan.cleanEnd === bytes && scan.damagedBytes === 0;
      found.boot = scan.boot;
      if (!footer) {
        footer = {
          readings: scan.readings,
          firstSequence: scan.firstSequence,
          lastSequence: scan.lastSequence,
        };
      }
    }
  }
  if (footer) {
    found.segment.firstSequence = footer.firstSequence;
    found.segment.lastSequence = footer.lastSequence;
    found.segment.readings = footer.readings;
  }
  return found;
};

export function countDropped(lane: Lane, reason: string, readings: number): void {
  if (readings > 0) lane.dropped[reason] = (lane.dropped[reason] || 0) + readings;
}

/** Gives how many readings are gone that were stored. */
const restore = function (lane: Lane, saved: LaneSnapshot | null): number {
  let lost = 0;
  const first = lane.segments[0];
  const last = lane.segments[lane.segments.length - 1];
  const stored = last ? last.lastSequence : 0;
  lane.done = saved ? saved.done : first ? first.firstSequence - 1 : 0;
  lane.lease = saved ? saved.lease : null;
  if (saved) for (const reason in saved.dropped) lane.dropped[reason] = saved.dropped[reason] as number;
  lane.nextSequence = Math.max(stored, lane.done, saved ? saved.next - 1 : 0) + 1;
  if (lane.lease && (lane.lease.last <= lane.done || lane.lease.last >= lane.nextSequence)) lane.lease = null;
  // Written before the cut but not synced, and gone with it.
  const end = Math.max(stored, lane.done);
  if (lane.nextSequence > end + 1) {
    lost += lane.nextSequence - 1 - end;
    lane.gaps.push({ first: end + 1, last: lane.nextSequence - 1 });
  }
  if (!lane.lease && first && first.firstSequence > lane.done + 1) {
    lost += first.firstSequence - 1 - lane.done;
    lane.done = first.firstSequence - 1;
  }
  countDropped(lane, 'lost', lost);
  return lost;
};

/**
 * The state of a spool from what a folder holds, whatever that is: damage is counted, never fatal. Reads the last 44
 * bytes of each closed segment and all of those that were not closed; the index it makes is one entry a segment.
 * Throws RangeError for options that cannot work.
 */
export function recoverSpool(storage: SpoolStorage, options: SpoolOptions, nowMs: number): SpoolState {
  if (options.lanes.length > LANES_MAX)
    throw new RangeError('a spool has at most 8 lanes, not ' + options.lanes.length);
  const lanes: Lane[] = [];
  const byNumber: { [lane: number]: Lane } = {};
  for (let i = 0; i < options.lanes.length; i++) {
    const laneOptions = options.lanes[i] as LaneOptions;
    if (byNumber[laneOptions.lane] || !(laneOptions.lane >= 0 && laneOptions.lane < LANES_MAX)) {
      throw new RangeError('expected different lanes of 0 to 7, got ' + laneOptions.lane);
    }
    if (!(laneOptions.bytesMax >= 2 * options.segmentBytesMax)) {
      throw new RangeError('expected room for at least two segments in lane ' + laneOptions.lane);
    }
    const lane = emptyLane(laneOptions);
    byNumber[laneOptions.lane] = lane;
    lanes.push(lane);
  }
  const snapshot = readSnapshot(storage);
  const state: SpoolState = {
    options: options,
    spoolId: snapshot ? snapshot.spool : options.spoolId,
    boot: snapshot ? snapshot.boot : 0,
    lanes: lanes,
    wear: openWear(snapshot ? snapshot.wear : null, nowMs),
    counter: snapshot ? snapshot.counter : 0,
    snapshotWanted: true,
    snapshotDueMs: null,
    holdUntilMs: nowMs,
    removals: [],
    startup: [],
    commit: null,
    flushes: [],
    faults: 0,
    closing: false,
    nowMs: nowMs,
    lost: [],
    damagedBytes: 0,
    snapshotLost: false,
  };
  ageWear(state.wear, nowMs);
  let files = 0;
  const whole: { [name: string]: boolean } = {};
  storage.list(function (name, bytes) {
    files++;
    if (SNAPSHOT_NAMES.indexOf(name) >= 0) whole[name] = bytes >= SNAPSHOT_BYTES;
    const parsed = parseName(name);
    if (!parsed) return;
    let lane = byNumber[parsed.lane];
    if (!lane) {
      // A lane that the options no longer name is drained, not forgotten.
      lane = emptyLane({
        lane: parsed.lane,
        whenFull: 'drop-oldest',
        sync: 'interval',
        syncIntervalMs: 1000,
        bytesMax: 2 * options.segmentBytesMax,
      });
      byNumber[parsed.lane] = lane;
      lanes.push(lane);
    }
    const found = inspect(storage, name, parsed.number, bytes);
    state.damagedBytes += found.damagedBytes;
    if (found.boot > state.boot) state.boot = found.boot;
    const empty = found.segment.readings === 0;
    if (parsed.number >= lane.nextSegment) {
      lane.nextSegment = parsed.number + 1;
      lane.growing = found.open && !empty;
    }
    if (empty) state.removals.push(name);
    else {
      lane.segments.push(found.segment);
      lane.bytes += bytes;
    }
  });
  state.snapshotLost = !snapshot && files > 0;
  // In an order that does not depend on the folder's.
  state.removals.sort();
  state.boot++;
  for (let i = 0; i < SNAPSHOT_NAMES.length; i++) {
    const name = SNAPSHOT_NAMES[i] as string;
    if (whole[name]) continue;
    // Made in full size now, so that on a full disk it can still be overwritten.
    state.startup.push({ op: 'write', name: name, at: 0, bytes: new Uint8Array(SNAPSHOT_BYTES) });
    state.startup.push({ op: 'sync', name: name, folder: true });
  }
  if (snapshot) {
    const newest = SNAPSHOT_NAMES[snapshot.counter % 2] as string;
    state.startup.push({ op: 'sync', name: newest, folder: true });
  }
  for (let i = 0; i < lanes.length; i++) {
    const lane = lanes[i] as Lane;
    lane.segments.sort(function (first, second) {
      return first.number - second.number;
    });
    let saved: LaneSnapshot | null = null;
    for (let j = 0; snapshot && j < snapshot.lanes.length; j++) {
      const candidate = snapshot.lanes[j] as LaneSnapshot;
      if (candidate.lane === lane.options.lane) saved = candidate;
    }
    const lost = restore(lane, saved);
    if (lost > 0) state.lost.push({ lane: lane.options.lane, readings: lost });
    for (let j = Math.max(0, lane.segments.length - 2); j < lane.segments.length; j++) {
      state.startup.push({ op: 'sync', name: nameOf(lane, lane.segments[j] as Segment), folder: true });
    }
  }
  return state;
}
