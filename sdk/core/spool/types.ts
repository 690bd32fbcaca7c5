import type { Reading, TimeTrust } from '../batch/index.ts';
import type { LeaseSnapshot } from './snapshot.ts';
import type { Wear } from './wear.ts';

/** One change of the medium. The port performs a list of them in order and stops at the first that fails. */
export type SpoolOperation =
  /** Writes at an offset at most the file's length; the file is made when there is none. */
  | { op: 'write'; name: string; at: number; bytes: Uint8Array }
  /** The file's bytes, and its name when `folder` is set, are durable afterwards. */
  | { op: 'sync'; name: string; folder: boolean }
  /** No error when there is none. */
  | { op: 'remove'; name: string };

/** Why a list of operations ended early. `full`: no space (ENOSPC, EDQUOT); `io`: anything else. */
export interface SpoolFault {
  kind: 'full' | 'io';
  /** Index of the operation that failed. */
  at: number;
  /** For the log; a path or an errno, never content. */
  detail: string;
}

/**
 * The port of a spool: one folder of files. Reading is synchronous (small, and from the cache mostly), writing is
 * answered by a callback, at once or later; one list is under way at a time. `spool.contract.ts` is what it owes.
 */
export interface SpoolStorage {
  /** Tells each file, in any order, while it goes through them: of a hundred thousand no list is made. */
  list(found: (name: string, bytes: number) => void): void;
  /**
   * Up to `length` bytes from an offset, fewer at the end; null when the file cannot be read at all. The next `read`
   * may overwrite them.
   */
  read(name: string, from: number, length: number): Uint8Array | null;
  perform(operations: SpoolOperation[], done: (fault: SpoolFault | null) => void): void;
}

/** `drop-oldest` makes room, `block` makes the caller wait, `never-drop` tells the caller that it is full. */
export type WhenFull = 'drop-oldest' | 'block' | 'never-drop';
/** When a record is durable: before it is acknowledged, within `syncIntervalMs`, or when the system gets to it. */
export type SyncPolicy = 'every' | 'interval' | 'none';

export interface LaneOptions {
  /** 0 to 7. Lane 0 is for rotation and proof. */
  lane: number;
  whenFull: WhenFull;
  sync: SyncPolicy;
  syncIntervalMs: number;
  /** Bytes of the lane on the medium, hard. */
  bytesMax: number;
}

export interface SpoolOptions {
  lanes: LaneOptions[];
  /** Bytes written in any 24 hours, hard; lane 0 may use all of it, the others nine tenths. */
  bytesPerDayMax: number;
  /** A segment is closed before it grows over this. */
  segmentBytesMax: number;
  /** 16 hex characters of chance: names this spool when it is made. */
  spoolId: string;
}

/**
 * Why a reading was not kept. `evicted`: the oldest made room. `lane_full`, `wear`, `busy`: over a cap (bytes, bytes a
 * day, bytes waiting in memory) where the policy does not wait. `disk_full`, `storage_fault`: the medium refused.
 * `corrupt`: it was stored and cannot be read. `lost`: it was stored and its segment is gone. `too_large`, `closed`.
 */
export type DropReason =
  | 'evicted'
  | 'lane_full'
  | 'wear'
  | 'busy'
  | 'disk_full'
  | 'storage_fault'
  | 'corrupt'
  | 'lost'
  | 'too_large'
  | 'closed';

export type RecordOutcome =
  | { kept: true; lane: number; sequence: number; durable: boolean }
  | { kept: false; lane: number; reason: DropReason };

export interface Segment {
  /** Its name is `segmentName` of the lane and this. */
  number: number;
  firstSequence: number;
  lastSequence: number;
  readings: number;
  bytes: number;
}

/** A reading on its way to the medium. */
export interface Pending {
  ticket: number;
  reading: Reading;
  frameBytes: number;
}

export interface Lane {
  options: LaneOptions;
  /** Oldest first; the last may still grow when `growing`. */
  segments: Segment[];
  growing: boolean;
  /** The growing segment holds bytes, or has a name, that a cut could lose. */
  unsynced: boolean;
  unsyncedFolder: boolean;
  /** Monotonic ms by which `interval` wants a sync; null when nothing waits for one. */
  syncDueMs: number | null;
  nextSegment: number;
  nextSequence: number;
  done: number;
  lease: LeaseSnapshot | null;
  /** Readings between `done` and the lease's last that could be read when it was taken. */
  leaseReadings: number;
  /** Sequences that are known not to be on the medium and were counted already. */
  gaps: { first: number; last: number }[];
  /** Where the reader stands: frames before are of sequences up to `readSequence`. */
  readSegment: number;
  readOffset: number;
  readSequence: number;
  pending: Pending[];
  pendingBytes: number;
  waiting: Pending[];
  waitingBytes: number;
  bytes: number;
  dropped: { [reason: string]: number };
  faults: number;
}

export interface SpoolState {
  options: SpoolOptions;
  spoolId: string;
  boot: number;
  lanes: Lane[];
  wear: Wear;
  counter: number;
  snapshotWanted: boolean;
  /** Monotonic ms by which an acknowledgement is to be remembered even if nothing else is written; null: none waits. */
  snapshotDueMs: number | null;
  /** Monotonic ms before which nothing is tried again after a fault. */
  holdUntilMs: number;
  /** Segments to be removed once a snapshot says that they are done with. */
  removals: string[];
  /** Syncs of what a killed process may have left in a cache only: part of the first list after a start. */
  startup: SpoolOperation[];
  commit: Commit | null;
  flushes: number[];
  /** Lists of operations in a row that failed. */
  faults: number;
  closing: boolean;
  nowMs: number;
  /** Readings that were stored and found gone when it was opened, a lane each: counted already, still to be told. */
  lost: { lane: number; readings: number }[];
  /** Damage and faults met since it was opened. */
  damagedBytes: number;
  snapshotLost: boolean;
}

/** What one list of operations stands for. */
export interface Commit {
  operations: SpoolOperation[];
  startup: SpoolOperation[];
  snapshotEnd: number;
  removalsEnd: number;
  snapshot: boolean;
  removals: string[];
  lanes: CommitLane[];
  flushes: number[];
  bytes: number;
}

export interface CommitLane {
  lane: Lane;
  /** What goes into `segment` with this commit; empty when it is only synced. */
  pending: Pending[];
  segment: Segment | null;
  /** The segment is new: not in the lane's list before this has succeeded. */
  isNew: boolean;
  bytes: number;
  /** Bytes of the footer that closes the segment before. */
  footerBytes: number;
  synced: boolean;
}

export type SpoolEvent =
  | {
      type: 'record';
      nowMs: number;
      ticket: number;
      lane: number;
      bytes: Uint8Array;
      monotonicMs: number;
      wallMs: number;
      trust: TimeTrust;
    }
  | { type: 'performed'; nowMs: number; fault: SpoolFault | null }
  | { type: 'tick'; nowMs: number }
  /** Settles `ticket` when all that was recorded before is durable, and the snapshot too. */
  | { type: 'flush'; nowMs: number; ticket: number }
  /**
   * A batch of `readings` readings up to `last` will be sent: durable when the following flush has settled. A lease
   * found at start wants a flush as well before it is sent: a killed process may have left it in a cache only.
   */
  | { type: 'lease'; nowMs: number; lane: number; last: number; readings: number; random: string }
  /** After a start, a lease that was found: how many of its readings could be read. */
  | { type: 'resume'; nowMs: number; lane: number; readings: number }
  /** The leased batch arrived (or is given up for `reason`). */
  | { type: 'acknowledge'; nowMs: number; lane: number; reason: DropReason | null }
  | { type: 'close'; nowMs: number; ticket: number };

export type SpoolEffect =
  /** Hand to `SpoolStorage.perform`, and its answer back as `performed`. */
  | { type: 'perform'; operations: SpoolOperation[] }
  | { type: 'recorded'; ticket: number; outcome: RecordOutcome }
  /** `durable` is false when the medium failed again and again: nothing can be promised then. */
  | { type: 'flushed'; ticket: number; durable: boolean }
  | { type: 'dropped'; lane: number; reason: DropReason; readings: number }
  | { type: 'fault'; fault: SpoolFault }
  /** A `tick` is wanted then. */
  | { type: 'wake'; atMs: number };
