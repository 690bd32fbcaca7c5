import { encodeFooter, encodeReadingInto, FOOTER_BYTES, segmentSalt } from './frame.ts';
import { nameOf } from './recover.ts';
import { encodeSnapshot, SNAPSHOT_BYTES, SNAPSHOT_NAMES } from './snapshot.ts';
import type { Commit, CommitLane, Lane, LaneOptions, Pending, Segment, SpoolOperation, SpoolState } from './types.ts';

const snapshotOperations = function (state: SpoolState, operations: SpoolOperation[]): void {
  state.counter++;
  const name = SNAPSHOT_NAMES[state.counter % 2] as string;
  const bytes = encodeSnapshot({
    counter: state.counter,
    spool: state.spoolId,
    boot: state.boot,
    lanes: state.lanes.map(function (lane) {
      const firstPending = lane.pending[0];
      return {
        lane: lane.options.lane,
        done: lane.done,
        next: firstPending ? firstPending.reading.sequence : lane.nextSequence,
        lease: lane.lease,
        dropped: lane.dropped,
      };
    }),
    wear: state.wear.hours,
  });
  operations.push({ op: 'write', name: name, at: 0, bytes: bytes });
  operations.push({ op: 'sync', name: name, folder: false });
};

/** The pending readings that fit one segment, as one write; the segment before is closed when it is full. */
const writeLane = function (state: SpoolState, lane: Lane, part: CommitLane, operations: SpoolOperation[]): void {
  const limit = state.options.segmentBytesMax - FOOTER_BYTES;
  const head = lane.pending[0] as Pending;
  let segment = lane.growing ? (lane.segments[lane.segments.length - 1] as Segment) : null;
  if (segment && segment.bytes + head.frameBytes > limit) {
    const full = nameOf(lane, segment);
    const footer = encodeFooter(segment, segmentSalt(full));
    operations.push({ op: 'write', name: full, at: segment.bytes, bytes: footer });
    operations.push({ op: 'sync', name: full, folder: lane.unsyncedFolder });
    part.footerBytes = FOOTER_BYTES;
    segment = null;
  }
  if (!segment) {
    const first = head.reading.sequence;
    segment = {
      number: lane.nextSegment,
      firstSequence: first,
      lastSequence: first - 1,
      readings: 0,
      bytes: 0,
    };
    part.isNew = true;
    lane.nextSegment++;
  }
  part.segment = segment;
  const name = nameOf(lane, segment);
  const salt = segmentSalt(name);
  let bytes = 0;
  let count = 0;
  while (count < lane.pending.length) {
    const frameBytes = (lane.pending[count] as Pending).frameBytes;
    if (segment.bytes + bytes + frameBytes > limit) break;
    bytes += frameBytes;
    count++;
  }
  part.pending = lane.pending.splice(0, count);
  part.bytes = bytes;
  const block = new Uint8Array(bytes);
  let at = 0;
  for (let i = 0; i < count; i++) {
    at = encodeReadingInto(block, at, (part.pending[i] as Pending).reading, salt);
  }
  operations.push({ op: 'write', name: name, at: segment.bytes, bytes: block });
};

/**
 * What is to be done next, as one list, or null when there is nothing. The order is what makes it safe:
 * syncs left over from a killed process → snapshot (says what is done with) → removals → data → syncs. Frames of readings that arrived while another list was
 * under way share one write and one sync: that is the group commit.
 */
export function buildCommit(state: SpoolState): Commit | null {
  const flushing = state.flushes.length > 0;
  const operations: SpoolOperation[] = [];
  const commit: Commit = {
    operations: operations,
    startup: [],
    snapshotEnd: 0,
    removalsEnd: 0,
    snapshot: false,
    removals: [],
    lanes: [],
    flushes: [],
    bytes: 0,
  };
  let pendingLeft = false;
  const parts: CommitLane[] = [];
  for (let i = 0; i < state.lanes.length; i++) {
    const lane = state.lanes[i] as Lane;
    const due = lane.syncDueMs !== null && state.nowMs >= lane.syncDueMs;
    if (lane.pending.length > 0 || (lane.unsynced && (due || flushing))) {
      parts.push({ lane: lane, pending: [], segment: null, isNew: false, bytes: 0, footerBytes: 0, synced: false });
    }
  }
  const snapshotDue = state.snapshotDueMs !== null && state.nowMs >= state.snapshotDueMs;
  const anything = parts.length > 0 || flushing || snapshotDue;
  if (anything) {
    commit.startup = state.startup;
    state.startup = [];
    for (let i = 0; i < commit.startup.length; i++) operations.push(commit.startup[i] as SpoolOperation);
  }
  // The first commit of a boot says so: readings carry its number.
  if (state.snapshotWanted && anything) {
    snapshotOperations(state, operations);
    commit.snapshot = true;
    commit.bytes += SNAPSHOT_BYTES;
    state.snapshotWanted = false;
    state.snapshotDueMs = null;
  }
  commit.snapshotEnd = operations.length;
  if (anything) commit.removals = state.removals.splice(0, state.removals.length);
  for (let i = 0; i < commit.removals.length; i++)
    operations.push({ op: 'remove', name: commit.removals[i] as string });
  commit.removalsEnd = operations.length;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as CommitLane;
    const lane = part.lane;
    const options: LaneOptions = lane.options;
    if (lane.pending.length > 0) writeLane(state, lane, part, operations);
    else part.segment = lane.segments[lane.segments.length - 1] as Segment;
    commit.bytes += part.bytes + part.footerBytes;
    if (lane.pending.length > 0) pendingLeft = true;
    const due = lane.syncDueMs !== null && state.nowMs >= lane.syncDueMs;
    if (options.sync === 'every' || due || flushing) {
      const folder = part.isNew || lane.unsyncedFolder;
      operations.push({ op: 'sync', name: nameOf(lane, part.segment as Segment), folder: folder });
      part.synced = true;
    }
    commit.lanes.push(part);
  }
  if (flushing && !pendingLeft) commit.flushes = state.flushes.splice(0, state.flushes.length);
  return operations.length > 0 || commit.flushes.length > 0 ? commit : null;
}
