import { buildCommit } from './commit.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import { countDropped } from './recover.ts';
import { findRoom, moveDone, PENDING_BYTES_MAX, reclaim } from './room.ts';
import { countUnread, refuse, settleCommit } from './settle.ts';
import type { DropReason, Lane, LaneOptions, Pending, SpoolEffect, SpoolEvent, SpoolState } from './types.ts';
import { ageWear, wearRelievedAtMs } from './wear.ts';

/** Of the daily bytes, how many may be written before a snapshot remembers them: what one crash can make forgotten. */
const WEAR_SNAPSHOT_PARTS = 64;
/** But not more often than this, or the snapshots themselves would wear the card. */
const WEAR_SNAPSHOT_BYTES_MIN = 32768;

/** Ms after an acknowledgement by which it is written down; sooner if something else is. A cut before then means that
 * the batch is sent again under the same key, which the server knows. */
const SNAPSHOT_DELAY_MS = 1000;

const laneByNumber = function (state: SpoolState, number: number): Lane {
  for (let i = 0; i < state.lanes.length; i++) {
    const lane = state.lanes[i] as Lane;
    if (lane.options.lane === number) return lane;
  }
  throw new RangeError('expected one of the lanes this spool was opened with, got ' + number);
};

const accept = function (lane: Lane, pending: Pending): void {
  pending.reading.sequence = lane.nextSequence++;
  lane.pending.push(pending);
  lane.pendingBytes += pending.frameBytes;
};

const record = function (state: SpoolState, lane: Lane, pending: Pending, effects: SpoolEffect[]): void {
  const options: LaneOptions = lane.options;
  // Who came first is served first.
  let room: 'take' | DropReason = lane.waiting.length > 0 ? 'lane_full' : findRoom(state, lane, pending, effects);
  if (room === 'take') {
    accept(lane, pending);
    return;
  }
  if (options.whenFull === 'block' && room !== 'too_large') {
    if (lane.waitingBytes + pending.frameBytes <= PENDING_BYTES_MAX) {
      lane.waiting.push(pending);
      lane.waitingBytes += pending.frameBytes;
      return;
    }
    room = 'busy';
  }
  refuse(lane, pending.ticket, room, effects);
};

const admitWaiting = function (state: SpoolState, effects: SpoolEffect[]): void {
  for (let i = 0; i < state.lanes.length; i++) {
    const lane = state.lanes[i] as Lane;
    let taken = 0;
    while (taken < lane.waiting.length && findRoom(state, lane, lane.waiting[taken] as Pending, effects) === 'take') {
      const pending = lane.waiting[taken] as Pending;
      lane.waitingBytes -= pending.frameBytes;
      accept(lane, pending);
      taken++;
    }
    if (taken > 0) lane.waiting.splice(0, taken);
  }
};

/** Starts the next list of operations, and says when a tick is wanted if there is none to start. */
const pump = function (state: SpoolState, effects: SpoolEffect[]): void {
  if (state.commit) return;
  admitWaiting(state, effects);
  if (state.nowMs >= state.holdUntilMs) {
    const commit = buildCommit(state);
    if (commit && commit.operations.length > 0) {
      state.commit = commit;
      effects.push({ type: 'perform', operations: commit.operations });
      return;
    }
    for (let i = 0; commit && i < commit.flushes.length; i++) {
      effects.push({ type: 'flushed', ticket: commit.flushes[i] as number, durable: true });
    }
  }
  let wakeMs = -1;
  const want = function (atMs: number): void {
    if (wakeMs < 0 || atMs < wakeMs) wakeMs = atMs;
  };
  if (state.nowMs < state.holdUntilMs) want(state.holdUntilMs);
  else if (state.snapshotDueMs !== null) want(state.snapshotDueMs);
  for (let i = 0; i < state.lanes.length; i++) {
    const lane = state.lanes[i] as Lane;
    if (lane.waiting.length > 0) want(wearRelievedAtMs(state.wear));
    if (lane.syncDueMs !== null) want(Math.max(lane.syncDueMs, state.holdUntilMs));
  }
  if (wakeMs >= 0) effects.push({ type: 'wake', atMs: wakeMs });
};

/**
 * The spool's one function: an event in, effects out, in order. `state` belongs to the spool and is changed in place
 * (a copy for each of 100,000 readings a second would cost more than the writing). No clock, no chance, no I/O: the
 * driver performs the effects and brings back `performed`.
 *
 * Promises: a reading acknowledged as durable is there after any cut; every reading is delivered once, or counted
 * under a reason; a cursor moves only when what it passes is durable and acknowledged; neither damage nor a full disk
 * is fatal. Throws RangeError for a lane it does not have.
 */
export function stepSpool(state: SpoolState, event: SpoolEvent): SpoolEffect[] {
  const effects: SpoolEffect[] = [];
  if (event.nowMs > state.nowMs) state.nowMs = event.nowMs;
  ageWear(state.wear, state.nowMs);
  if (event.type === 'record') {
    const lane = laneByNumber(state, event.lane);
    if (state.closing) refuse(lane, event.ticket, 'closed', effects);
    else {
      const pending: Pending = {
        ticket: event.ticket,
        reading: {
          bytes: event.bytes,
          sequence: 0,
          boot: state.boot,
          monotonicMs: Math.max(0, Math.floor(event.monotonicMs)),
          wallMs: Math.max(0, Math.floor(event.wallMs)),
          trust: event.trust,
        },
        frameBytes: FRAME_HEADER_BYTES + event.bytes.length,
      };
      record(state, lane, pending, effects);
    }
  } else if (event.type === 'performed') {
    const before = state.wear.sum;
    settleCommit(state, event.fault, effects);
    const part = Math.max(WEAR_SNAPSHOT_BYTES_MIN, state.options.bytesPerDayMax / WEAR_SNAPSHOT_PARTS);
    if (Math.floor(state.wear.sum / part) !== Math.floor(before / part)) state.snapshotWanted = true;
  } else if (event.type === 'flush') {
    // The snapshot says up to which sequence there must be something: damage at the end of the log is noticed by it.
    state.snapshotWanted = true;
    state.flushes.push(event.ticket);
  } else if (event.type === 'close') {
    state.closing = true;
    for (let i = 0; i < state.lanes.length; i++) {
      const lane = state.lanes[i] as Lane;
      for (let j = 0; j < lane.waiting.length; j++)
        refuse(lane, (lane.waiting[j] as Pending).ticket, 'closed', effects);
      lane.waiting = [];
      lane.waitingBytes = 0;
    }
    state.snapshotWanted = true;
    state.flushes.push(event.ticket);
  } else if (event.type === 'lease') {
    const lane = laneByNumber(state, event.lane);
    if (event.last <= lane.done || event.last >= lane.nextSequence) {
      throw new RangeError(
        'expected a sequence of ' + (lane.done + 1) + ' to ' + (lane.nextSequence - 1) + ', got ' + event.last,
      );
    }
    lane.lease = { first: lane.done + 1, last: event.last, boot: state.boot, random: event.random };
    lane.leaseReadings = event.readings;
    state.snapshotWanted = true;
  } else if (event.type === 'resume') {
    laneByNumber(state, event.lane).leaseReadings = event.readings;
  } else if (event.type === 'acknowledge') {
    const lane = laneByNumber(state, event.lane);
    const lease = lane.lease;
    if (lease) {
      const unread = countUnread(lane, lease.last, lane.leaseReadings);
      const reasons: DropReason[] = ['corrupt'];
      const counts = [unread];
      if (event.reason) {
        reasons.push(event.reason);
        counts.push(lane.leaseReadings);
      }
      for (let i = 0; i < reasons.length; i++) {
        const readings = counts[i] as number;
        const reason = reasons[i] as DropReason;
        countDropped(lane, reason, readings);
        if (readings > 0)
          effects.push({ type: 'dropped', lane: lane.options.lane, reason: reason, readings: readings });
      }
      lane.lease = null;
      lane.leaseReadings = 0;
      moveDone(state, lane, lease.last);
      reclaim(state, lane, false);
      if (state.snapshotDueMs === null) state.snapshotDueMs = state.nowMs + SNAPSHOT_DELAY_MS;
    }
  }
  pump(state, effects);
  return effects;
}
