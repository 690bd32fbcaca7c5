import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type {
  DropReason,
  LaneOptions,
  LeaseSnapshot,
  Reading,
  ReadingView,
  RecordOutcome,
  SpoolEffect,
  SpoolEvent,
  SpoolFault,
  TimeTrust,
} from '#sdk/core';
import {
  BATCH_BOOTS_MAX,
  backlogOf,
  eachReading,
  laneOfSpool,
  readingKeeper,
  recoverSpool,
  stepSpool,
} from '#sdk/core';
import { fileSpoolStorage, nodeFileSystem, type SpoolFileSystem } from './file-storage.ts';
import { lockFolder } from './folder-lock.ts';
import { SpoolError } from './spool-error.ts';

export interface SpoolClock {
  /** Milliseconds since this process began; never goes back. */
  monotonicMs(): number;
  wallMs(): number;
  /** How far `wallMs` can be believed now. */
  trust(): TimeTrust;
}

export const systemClock: SpoolClock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  // A computer without a battery-backed clock believes in 1970 or in its last shutdown until it has asked somebody.
  trust: () => (Date.now() > Date.UTC(2026, 0, 1) ? 'estimated' : 'none'),
};

/** Lane 0 for rotation and proof, lane 1 for readings. */
export const DEFAULT_LANES: LaneOptions[] = [
  { lane: 0, whenFull: 'never-drop', sync: 'every', syncIntervalMs: 1000, bytesMax: 4_194_304 },
  { lane: 1, whenFull: 'drop-oldest', sync: 'interval', syncIntervalMs: 1000, bytesMax: 1_073_741_824 },
];
/** An SD card of 16 GB that stands 1,000 writes of each cell lasts 8 years at 5 GiB a day. */
const BYTES_PER_DAY_MAX = 5_368_709_120;
const SEGMENT_BYTES_MAX = 1_048_576;
const WHOLE_LEASE = {
  count: Number.MAX_SAFE_INTEGER,
  bytes: Number.MAX_SAFE_INTEGER,
  boots: Number.MAX_SAFE_INTEGER,
};

export type SpoolNotice =
  | { type: 'dropped'; lane: number; reason: DropReason; readings: number }
  | { type: 'fault'; fault: SpoolFault };

export interface OpenSpoolOptions {
  folder: string;
  lanes?: LaneOptions[];
  bytesPerDayMax?: number;
  segmentBytesMax?: number;
  clock?: SpoolClock;
  fileSystem?: SpoolFileSystem;
  /** Told of every reading that is not kept and every fault of the medium, as they happen. */
  onNotice?: (notice: SpoolNotice) => void;
}

export interface RecordOptions {
  lane?: number;
  /** When it was measured, if not now. */
  monotonicMs?: number;
  wallMs?: number;
  trust?: TimeTrust;
}

/** A range of readings that is being sent. The same again, under the same name, after a crash. */
export interface Lease {
  lane: number;
  spool: string;
  /** Boot in which it was taken, first and last sequence, and 128 random bits: what an Idempotency-Key is made of. */
  boot: number;
  first: number;
  last: number;
  random: string;
  /** It was taken before a restart and may have arrived. */
  resumed: boolean;
}

/** A lease with the readings in it. */
export interface LeasedReadings extends Lease {
  readings: Reading[];
}

export interface LaneStats {
  lane: number;
  /** Sequences stored and not yet delivered. */
  backlog: number;
  bytes: number;
  segments: number;
  dropped: { [reason: string]: number };
}

export interface SpoolStats {
  spool: string;
  boot: number;
  lanes: LaneStats[];
  bytesWritten24h: number;
  /** Met since it was opened. */
  damagedBytes: number;
  snapshotLost: boolean;
}

export interface Spool {
  readonly id: string;
  readonly boot: number;
  /** Resolves when the lane's policy is kept: `durable` says whether a power cut can still take it. Never rejects. */
  record(bytes: Uint8Array, options?: RecordOptions): Promise<RecordOutcome>;
  /**
   * The oldest readings of a lane (of as many boots as one batch may span), leased: the range is durable before this resolves, and stays leased until
   * `acknowledge` or `giveUp`. Calling it again before gives the same range. Null when there is nothing to send.
   * Throws SpoolError `spool_closed`, or `spool_not_durable` when the medium cannot be written: try again later.
   */
  take(lane: number, limits: { count: number; bytes: number }): Promise<LeasedReadings | null>;
  /**
   * As `take`, with each reading handed to `takeReading` before it resolves, so that no more of them than one is ever in
   * memory: a view is overwritten after the call. What was handed over counts only when there is a lease. `isStopped` is
   * asked between ranges of which nothing can be read: true ends it with `spool_closed`.
   */
  takeEach(
    lane: number,
    limits: { count: number; bytes: number; isStopped?: () => boolean },
    takeReading: (reading: ReadingView) => void,
  ): Promise<Lease | null>;
  /** The batch has arrived: its readings are done with. */
  acknowledge(batch: Lease): void;
  /** The batch will never arrive: its readings are counted as dropped for this reason. */
  giveUp(batch: Lease, reason: DropReason): void;
  /** Resolves when everything recorded before is durable. Throws SpoolError `spool_not_durable`. */
  flush(): Promise<void>;
  /** Flushes as far as the medium lets it, refuses what waits, closes the files and unlocks the folder. */
  close(): Promise<void>;
  stats(): SpoolStats;
}

/**
 * Opens the spool in a folder (made 0700), whatever state it is in. Throws SpoolError `spool_in_use` when another
 * process has it, `spool_folder` when it cannot be used, RangeError for options that cannot work.
 */
export function openSpool(options: OpenSpoolOptions): Spool {
  const clock = options.clock ?? systemClock;
  try {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new SpoolError(
      'spool_folder',
      `${options.folder}: cannot be made (${(error as NodeJS.ErrnoException).code})`,
      error,
    );
  }
  const unlock = lockFolder(options.folder);
  const storage = fileSpoolStorage(options.folder, options.fileSystem ?? nodeFileSystem);
  const recover = () => {
    try {
      return recoverSpool(
        storage,
        {
          lanes: options.lanes ?? DEFAULT_LANES,
          bytesPerDayMax: options.bytesPerDayMax ?? BYTES_PER_DAY_MAX,
          segmentBytesMax: options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
          spoolId: randomBytes(8).toString('hex'),
        },
        clock.monotonicMs(),
      );
    } catch (error) {
      unlock();
      throw error;
    }
  };
  const state = recover();
  for (const { lane, readings } of state.lost) options.onNotice?.({ type: 'dropped', lane, reason: 'lost', readings });
  const records = new Map<number, (outcome: RecordOutcome) => void>();
  const flushes = new Map<number, (durable: boolean) => void>();
  let tickets = 0;
  let timer: NodeJS.Timeout | null = null;
  let closed: Promise<void> | null = null;

  const perform = (effect: SpoolEffect) => {
    if (effect.type === 'perform') {
      storage.perform(effect.operations, (fault) => step({ type: 'performed', nowMs: clock.monotonicMs(), fault }));
    } else if (effect.type === 'recorded') {
      records.get(effect.ticket)?.(effect.outcome);
      records.delete(effect.ticket);
    } else if (effect.type === 'flushed') {
      flushes.get(effect.ticket)?.(effect.durable);
      flushes.delete(effect.ticket);
    } else if (effect.type === 'wake') {
      if (timer) clearTimeout(timer);
      const tick = () => step({ type: 'tick', nowMs: clock.monotonicMs() });
      // Rounded up: a tick a fraction too early would only ask for another.
      timer = setTimeout(tick, Math.max(1, Math.ceil(effect.atMs - clock.monotonicMs()))).unref();
    } else options.onNotice?.(effect);
  };
  const step = (event: SpoolEvent) => {
    for (const effect of stepSpool(state, event)) perform(effect);
  };
  const laneOf = (number: number) => {
    const lane = laneOfSpool(state, number);
    if (!lane) throw new RangeError(`expected one of the lanes this spool was opened with, got ${number}`);
    return lane;
  };
  const settle = (type: 'flush' | 'close') =>
    new Promise<boolean>((resolve) => {
      flushes.set(++tickets, resolve);
      step({ type, nowMs: clock.monotonicMs(), ticket: tickets });
    });
  const flush = async () => {
    if (await settle('flush')) return;
    throw new SpoolError('spool_not_durable', `${options.folder}: could not be written; see the faults that were told`);
  };
  const acknowledge = (batch: Lease, reason: DropReason | null) => {
    const { lease } = laneOf(batch.lane);
    // A late answer about an earlier batch moves nothing.
    if (!lease || lease.last !== batch.last || lease.random !== batch.random) return;
    step({ type: 'acknowledge', nowMs: clock.monotonicMs(), lane: batch.lane, reason });
  };

  const takeEach: Spool['takeEach'] = async (number, limits, takeReading) => {
    const lane = laneOf(number);
    for (;;) {
      if (closed || limits.isStopped?.()) throw new SpoolError('spool_closed', 'the spool was closed');
      const before = lane.lease;
      const { readings, through } = eachReading(
        state,
        storage,
        lane,
        before === null
          ? { count: limits.count, bytes: limits.bytes, boots: BATCH_BOOTS_MAX, through: Number.MAX_SAFE_INTEGER }
          : { ...WHOLE_LEASE, through: before.last },
        takeReading,
      );
      const nowMs = clock.monotonicMs();
      if (before !== null) step({ type: 'resume', nowMs, lane: number, readings });
      else if (through === 0) return null;
      else {
        const random = randomBytes(16).toString('hex');
        step({ type: 'lease', nowMs, lane: number, last: through, readings, random });
      }
      const lease = { lane: number, spool: state.spoolId, ...(lane.lease as LeaseSnapshot), resumed: before !== null };
      await flush();
      if (readings > 0) return lease;
      // Nothing of this range can be read: that is counted, and the next range is looked at.
      acknowledge(lease, null);
    }
  };

  return {
    id: state.spoolId,
    boot: state.boot,
    record: (bytes, given = {}) => {
      const lane = laneOf(given.lane ?? 1).options.lane;
      const nowMs = clock.monotonicMs();
      const ticket = ++tickets;
      return new Promise((resolve) => {
        records.set(ticket, resolve);
        step({
          type: 'record',
          nowMs,
          ticket,
          lane,
          // A copy (small ones side by side): the caller may fill its buffer again before this is written.
          bytes: Buffer.from(bytes),
          monotonicMs: given.monotonicMs ?? nowMs,
          wallMs: given.wallMs ?? clock.wallMs(),
          trust: given.trust ?? clock.trust(),
        });
      });
    },
    take: async (number, limits) => {
      const keeper = readingKeeper();
      const lease = await takeEach(number, limits, keeper.take);
      return lease && { ...lease, readings: keeper.readings };
    },
    takeEach,
    acknowledge: (batch) => acknowledge(batch, null),
    giveUp: (batch, reason) => acknowledge(batch, reason),
    flush,
    close: () => {
      closed ??= (async () => {
        await settle('close');
        if (timer) clearTimeout(timer);
        await storage.close();
        unlock();
      })();
      return closed;
    },
    stats: () => ({
      spool: state.spoolId,
      boot: state.boot,
      lanes: state.lanes.map((lane) => ({
        lane: lane.options.lane,
        backlog: backlogOf(lane),
        bytes: lane.bytes,
        segments: lane.segments.length,
        dropped: { ...lane.dropped },
      })),
      bytesWritten24h: state.wear.sum,
      damagedBytes: state.damagedBytes,
      snapshotLost: state.snapshotLost,
    }),
  };
}
