import type { Reading } from '../batch/index.ts';
import { nameOf } from './recover.ts';
import type { ScanLimits, TakeReading } from './scan.ts';
import { readingKeeper, scanSegment } from './scan.ts';
import type { Lane, Segment, SpoolState, SpoolStorage } from './types.ts';

export interface ReadLimits {
  count: number;
  bytes: number;
  boots: number;
  through: number;
}

/** How far a read went. */
export interface ReadRange {
  readings: number;
  /** The sequence up to which this read has looked: what a lease over it is taken to. 0 when there was nothing. */
  through: number;
}

export interface ReadResult {
  readings: Reading[];
  through: number;
}

export function laneOfSpool(state: SpoolState, number: number): Lane | null {
  for (let i = 0; i < state.lanes.length; i++) {
    const lane = state.lanes[i] as Lane;
    if (lane.options.lane === number) return lane;
  }
  return null;
}

/** Sequences stored and not done with: an upper bound of what a read will find. */
export function backlogOf(lane: Lane): number {
  const last = lane.segments[lane.segments.length - 1];
  return last ? Math.max(0, last.lastSequence - lane.done) : 0;
}

/** Looking for readings in damage ends here for now: on a ruined card it would hold up everything else for minutes. */
const DAMAGED_BYTES_MAX = 2097152;

/**
 * The oldest readings of a lane that are not done with, in order, up to a number and up to payload bytes (one reading
 * may be larger), of up to `boots` boots, and up to the sequence `through` where a lease says so, each handed to `take`
 * (its bytes for the moment of the call only). Damaged or missing parts are stepped over and show as missing sequences;
 * where there is nothing but damage for long, the range ends without a reading.
 */
export function eachReading(
  state: SpoolState,
  storage: SpoolStorage,
  lane: Lane,
  limits: ReadLimits,
  take: TakeReading,
): ReadRange {
  const range: ReadRange = { readings: 0, through: 0 };
  const goesOn = lane.readSequence === lane.done;
  let sequence = lane.done;
  let bytes = 0;
  let boots = 0;
  let boot = -1;
  let damagedBytes = 0;
  for (let i = 0; i < lane.segments.length; i++) {
    const segment = lane.segments[i] as Segment;
    if (segment.lastSequence <= sequence) continue;
    const found = range.readings;
    if (segment.firstSequence > limits.through || (found > 0 && (found >= limits.count || bytes >= limits.bytes)))
      break;
    const from = goesOn && segment.number === lane.readSegment ? lane.readOffset : 0;
    // Of a segment that was abandoned there may be more than the index believes: that was written again elsewhere.
    const through = Math.min(limits.through, segment.lastSequence);
    const left: ScanLimits = {
      count: limits.count - found,
      bytes: limits.bytes - bytes,
      atLeastOne: found === 0,
      through: through,
      boots: limits.boots - boots,
      boot: boot,
    };
    const scan = scanSegment(storage, nameOf(lane, segment), from, segment.bytes, sequence, left, take);
    state.damagedBytes += scan.damagedBytes;
    damagedBytes += scan.damagedBytes;
    range.readings += scan.readings;
    bytes += scan.payloadBytes;
    boots += scan.boots;
    boot = scan.boot;
    const limited = scan.stopped === 'size';
    sequence = limited ? scan.lastSequence : through;
    lane.readSegment = segment.number;
    lane.readOffset = scan.cleanEnd;
    lane.readSequence = sequence;
    range.through = sequence;
    if (limited || (range.readings === 0 && damagedBytes > DAMAGED_BYTES_MAX)) break;
  }
  return range;
}

/** As `eachReading`, as a list of readings that are the caller's. */
export function readLane(state: SpoolState, storage: SpoolStorage, lane: Lane, limits: ReadLimits): ReadResult {
  const keeper = readingKeeper();
  const range = eachReading(state, storage, lane, limits, keeper.take);
  return { readings: keeper.readings, through: range.through };
}
