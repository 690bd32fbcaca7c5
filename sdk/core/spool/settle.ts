import { countDropped, nameOf } from './recover.ts';
import { evictOldest, knownMissing } from './room.ts';
import type {
  Commit,
  CommitLane,
  DropReason,
  Lane,
  Pending,
  Segment,
  SpoolEffect,
  SpoolFault,
  SpoolOperation,
  SpoolState,
} from './types.ts';
import { chargeWear } from './wear.ts';

/** Tries of one write before its readings are given up. */
const FAULTS_MAX = 3;
/** Ms between tries after a fault: long enough for a card to recover or a person to make room. */
export const HOLD_MS = 1000;

export function refuse(lane: Lane, ticket: number, reason: DropReason, effects: SpoolEffect[]): void {
  countDropped(lane, reason, 1);
  effects.push({ type: 'recorded', ticket: ticket, outcome: { kept: false, lane: lane.options.lane, reason: reason } });
  effects.push({ type: 'dropped', lane: lane.options.lane, reason: reason, readings: 1 });
}

/** Gives up everything of a lane that is not on the medium yet. Its sequences are never used again. */
const giveUp = function (lane: Lane, reason: DropReason, effects: SpoolEffect[]): void {
  const first = lane.pending[0];
  const last = lane.pending[lane.pending.length - 1];
  if (first && last) lane.gaps.push({ first: first.reading.sequence, last: last.reading.sequence });
  for (let i = 0; i < lane.pending.length; i++) refuse(lane, (lane.pending[i] as Pending).ticket, reason, effects);
  lane.pending = [];
  lane.pendingBytes = 0;
  lane.faults = 0;
};

const commitLane = function (state: SpoolState, part: CommitLane, effects: SpoolEffect[]): void {
  const lane = part.lane;
  const segment = part.segment as Segment;
  const before = lane.segments[lane.segments.length - 1];
  if (part.footerBytes && before) {
    before.bytes += part.footerBytes;
    lane.bytes += part.footerBytes;
    lane.unsynced = false;
  }
  if (part.isNew) {
    lane.segments.push(segment);
    lane.growing = true;
    lane.unsyncedFolder = true;
    lane.unsynced = false;
  }
  lane.faults = 0;
  lane.bytes += part.bytes;
  lane.pendingBytes -= part.bytes;
  segment.bytes += part.bytes;
  for (let i = 0; i < part.pending.length; i++) {
    const pending = part.pending[i] as Pending;
    segment.lastSequence = pending.reading.sequence;
    segment.readings++;
    effects.push({
      type: 'recorded',
      ticket: pending.ticket,
      outcome: { kept: true, lane: lane.options.lane, sequence: pending.reading.sequence, durable: part.synced },
    });
  }
  if (part.synced) {
    lane.unsynced = false;
    lane.unsyncedFolder = false;
    lane.syncDueMs = null;
  } else {
    lane.unsynced = true;
    if (lane.options.sync === 'interval' && lane.syncDueMs === null) {
      lane.syncDueMs = state.nowMs + lane.options.syncIntervalMs;
    }
  }
};

/**
 * Nothing more is written to a segment that a write or sync failed on: after a failed sync a cache may forget what it
 * holds, and a second sync would succeed over it. The readings go into the next segment under the same sequences, and
 * the reader takes each sequence once.
 */
const abandon = function (state: SpoolState, part: CommitLane): void {
  const lane = part.lane;
  lane.pending = part.pending.concat(lane.pending);
  if (part.isNew) state.removals.push(nameOf(lane, part.segment as Segment));
  const last = lane.segments[lane.segments.length - 1];
  if (lane.growing && last) {
    last.bytes += part.footerBytes + (part.isNew ? 0 : part.bytes);
    lane.bytes += part.footerBytes + (part.isNew ? 0 : part.bytes);
  }
  lane.growing = false;
  lane.unsynced = false;
  lane.syncDueMs = null;
  state.snapshotWanted = true;
};

/** Makes room for a lane on a full disk: its own oldest, or, for what must not be dropped, that of lanes that may be. */
const relieve = function (state: SpoolState, lane: Lane, effects: SpoolEffect[]): boolean {
  if (lane.options.whenFull === 'drop-oldest') return evictOldest(state, lane, effects);
  if (lane.options.whenFull !== 'never-drop') return false;
  for (let i = 0; i < state.lanes.length; i++) {
    const other = state.lanes[i] as Lane;
    if (other.options.whenFull === 'drop-oldest' && evictOldest(state, other, effects)) return true;
  }
  return false;
};

/** What a list of operations came to. */
export function settleCommit(state: SpoolState, fault: SpoolFault | null, effects: SpoolEffect[]): void {
  const commit = state.commit as Commit;
  state.commit = null;
  chargeWear(state.wear, commit.bytes);
  if (!fault) {
    state.faults = 0;
    for (let i = 0; i < commit.lanes.length; i++) commitLane(state, commit.lanes[i] as CommitLane, effects);
    for (let i = 0; i < commit.flushes.length; i++) {
      effects.push({ type: 'flushed', ticket: commit.flushes[i] as number, durable: true });
    }
    return;
  }
  effects.push({ type: 'fault', fault: fault });
  const failed = commit.operations[fault.at] as SpoolOperation;
  state.flushes = commit.flushes.concat(state.flushes);
  state.faults++;
  if (state.faults >= FAULTS_MAX) {
    for (let i = 0; i < state.flushes.length; i++) {
      effects.push({ type: 'flushed', ticket: state.flushes[i] as number, durable: false });
    }
    state.flushes = [];
  }
  const touched = fault.at >= commit.removalsEnd;
  for (let i = 0; i < commit.lanes.length; i++) {
    const part = commit.lanes[i] as CommitLane;
    if (touched) abandon(state, part);
    else part.lane.pending = part.pending.concat(part.lane.pending);
  }
  state.snapshotWanted = true;
  if (fault.at < commit.snapshotEnd) {
    // The file is written again: the other one holds the last good snapshot.
    if (commit.snapshot) state.counter--;
    state.removals = commit.removals.concat(state.removals);
    if (fault.at < commit.startup.length) {
      // What cannot be synced is reported and left; the reader will find out what is in it.
      state.startup = commit.startup.filter(function (_operation, index) {
        return index !== fault.at;
      });
      return;
    }
  } else if (!touched) {
    // A file that cannot be removed is left for the next start to try.
    for (let i = fault.at - commit.snapshotEnd + 1; i < commit.removals.length; i++) {
      state.removals.push(commit.removals[i] as string);
    }
    return;
  }
  const about: Lane[] = [];
  for (let i = 0; i < commit.lanes.length; i++) {
    const lane = (commit.lanes[i] as CommitLane).lane;
    if (!touched || failed.name.indexOf('lane-' + lane.options.lane + '-') === 0) about.push(lane);
  }
  let hold = about.length === 0;
  for (let i = 0; i < about.length; i++) {
    const each = about[i] as Lane;
    if (fault.kind === 'full') {
      if (relieve(state, each, effects)) continue;
      if (each.options.whenFull !== 'block') giveUp(each, 'disk_full', effects);
      hold = true;
    } else {
      each.faults++;
      if (each.faults >= FAULTS_MAX) giveUp(each, 'storage_fault', effects);
      hold = true;
    }
  }
  if (hold) state.holdUntilMs = state.nowMs + HOLD_MS;
}

/** Readings of a range that should be on the medium and were not among those read. */
export function countUnread(lane: Lane, through: number, readings: number): number {
  return Math.max(0, through - lane.done - readings - knownMissing(lane, lane.done + 1, through));
}
