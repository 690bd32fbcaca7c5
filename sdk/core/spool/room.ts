import { FOOTER_BYTES, READING_BYTES_MAX } from './frame.ts';
import { countDropped, nameOf } from './recover.ts';
import type { DropReason, Lane, Pending, Segment, SpoolEffect, SpoolState } from './types.ts';

/** Bytes a lane may hold in memory while the medium is busy, and as many again for callers that are made to wait. */
export const PENDING_BYTES_MAX = 1048576;
/** The part of the daily bytes that lane 0 keeps for itself. */
const WEAR_SHARE_OF_LANE_0 = 0.1;

/** How many of these sequences are already known and counted as missing. */
export function knownMissing(lane: Lane, first: number, last: number): number {
  let missing = 0;
  for (let i = 0; i < lane.gaps.length; i++) {
    const gap = lane.gaps[i] as { first: number; last: number };
    const overlap = Math.min(gap.last, last) - Math.max(gap.first, first) + 1;
    if (overlap > 0) missing += overlap;
  }
  return missing;
}

/** Moves on to a sequence: what is before it is no business of the spool any more. */
export function moveDone(state: SpoolState, lane: Lane, sequence: number): void {
  if (sequence > lane.done) lane.done = sequence;
  lane.gaps = lane.gaps.filter(function (gap) {
    return gap.last > lane.done;
  });
  state.snapshotWanted = true;
}

const inCommit = function (state: SpoolState, lane: Lane): boolean {
  if (!state.commit) return false;
  for (let i = 0; i < state.commit.lanes.length; i++)
    if ((state.commit.lanes[i] as { lane: Lane }).lane === lane) return true;
  return false;
};

const removeSegment = function (state: SpoolState, lane: Lane, at: number): void {
  const segment = lane.segments[at] as Segment;
  if (at === lane.segments.length - 1 && lane.growing) {
    lane.growing = false;
    lane.unsynced = false;
    lane.syncDueMs = null;
  }
  lane.segments.splice(at, 1);
  lane.bytes -= segment.bytes;
  state.removals.push(nameOf(lane, segment));
  state.snapshotWanted = true;
};

/** Whether the segment at an index may go now: not pinned by a lease, not being written. */
const isFree = function (state: SpoolState, lane: Lane, at: number): boolean {
  const segment = lane.segments[at] as Segment;
  if (lane.lease && segment.lastSequence > lane.done && segment.firstSequence <= lane.lease.last) return false;
  return !(at === lane.segments.length - 1 && lane.growing && inCommit(state, lane));
};

/** Removes segments that hold nothing but what is done. The growing one goes only when its room is needed. */
export function reclaim(state: SpoolState, lane: Lane, growingToo: boolean): void {
  for (let at = 0; at < lane.segments.length; ) {
    const growing = at === lane.segments.length - 1 && lane.growing;
    const spent = (lane.segments[at] as Segment).lastSequence <= lane.done && (growingToo || !growing);
    if (!spent || !isFree(state, lane, at)) return;
    removeSegment(state, lane, at);
  }
}

/** Gives up the oldest segment that may go. False when there is none. */
export function evictOldest(state: SpoolState, lane: Lane, effects: SpoolEffect[]): boolean {
  let at = 0;
  while (at < lane.segments.length && !isFree(state, lane, at)) at++;
  if (at >= lane.segments.length) return false;
  const segment = lane.segments[at] as Segment;
  const first = Math.max(lane.done + 1, segment.firstSequence);
  const readings = Math.max(0, segment.lastSequence - first + 1 - knownMissing(lane, first, segment.lastSequence));
  countDropped(lane, 'evicted', readings);
  if (readings > 0) effects.push({ type: 'dropped', lane: lane.options.lane, reason: 'evicted', readings: readings });
  if (at > 0 || lane.lease) {
    if (first <= segment.lastSequence) lane.gaps.push({ first: first, last: segment.lastSequence });
  } else moveDone(state, lane, segment.lastSequence);
  removeSegment(state, lane, at);
  return true;
}

/** `take`, or the cap that stands against it. Evicts where the lane's policy is to make room. */
export function findRoom(state: SpoolState, lane: Lane, pending: Pending, effects: SpoolEffect[]): 'take' | DropReason {
  const bytes = pending.frameBytes;
  if (pending.reading.bytes.length > READING_BYTES_MAX || bytes + FOOTER_BYTES > state.options.segmentBytesMax) {
    return 'too_large';
  }
  let coming = 0;
  for (let i = 0; i < state.lanes.length; i++) coming += (state.lanes[i] as Lane).pendingBytes;
  const share = lane.options.lane === 0 ? 1 : 1 - WEAR_SHARE_OF_LANE_0;
  if (state.wear.sum + coming + bytes > state.options.bytesPerDayMax * share) return 'wear';
  if (lane.pendingBytes + bytes > PENDING_BYTES_MAX) return 'busy';
  const fits = function (): boolean {
    // A footer for the segment that grows and one for the next that may be begun.
    return lane.bytes + lane.pendingBytes + bytes + 2 * FOOTER_BYTES <= lane.options.bytesMax;
  };
  if (!fits()) reclaim(state, lane, true);
  while (!fits()) {
    if (lane.options.whenFull !== 'drop-oldest' || !evictOldest(state, lane, effects)) return 'lane_full';
  }
  return 'take';
}
