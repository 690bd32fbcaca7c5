import type { Reading } from '../batch/index.ts';
import { scanFrames, segmentSalt } from './frame.ts';
import type { Lane, Segment, SpoolState, SpoolStorage } from './types.ts';

export interface ReadResult {
  readings: Reading[];
  /** The sequence up to which this read has looked: what a lease over it is taken to. 0 when there was nothing. */
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

/** Gives readings bytes of their own, side by side in one array: the block they were read in will be used again. */
const own = function (readings: Reading[]): void {
  let length = 0;
  for (let i = 0; i < readings.length; i++) length += (readings[i] as Reading).bytes.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < readings.length; i++) {
    const reading = readings[i] as Reading;
    bytes.set(reading.bytes, at);
    reading.bytes = bytes.subarray(at, at + reading.bytes.length);
    at += reading.bytes.length;
  }
};

/**
 * The oldest readings of a lane that are not done with, in order, up to a number and up to payload bytes (one reading
 * may be larger), of up to `boots` boots, and up to the sequence `through` where a lease says so. Reads one segment at a time; damaged or missing
 * parts are stepped over and show as missing sequences. The readings are the caller's.
 */
export function readLane(
  state: SpoolState,
  storage: SpoolStorage,
  lane: Lane,
  limits: { count: number; bytes: number; boots: number; through: number },
): ReadResult {
  const result: ReadResult = { readings: [], through: 0 };
  const goesOn = lane.readSequence === lane.done;
  let sequence = lane.done;
  let bytes = 0;
  let boots = 0;
  let boot = -1;
  for (let i = 0; i < lane.segments.length; i++) {
    const segment = lane.segments[i] as Segment;
    if (segment.lastSequence <= sequence) continue;
    const found = result.readings.length;
    if (segment.firstSequence > limits.through || (found > 0 && (found >= limits.count || bytes >= limits.bytes)))
      break;
    const from = goesOn && segment.number === lane.readSegment ? lane.readOffset : 0;
    const block = storage.read(segment.name, from, segment.bytes - from);
    // Of a segment that was abandoned there may be more than the index believes: that was written again elsewhere.
    const through = Math.min(limits.through, segment.lastSequence);
    const scan = scanFrames(block || new Uint8Array(0), 0, segmentSalt(segment.name), sequence, {
      count: limits.count - found,
      bytes: limits.bytes - bytes,
      atLeastOne: found === 0,
      through: through,
      boots: limits.boots - boots,
      boot: boot,
    });
    state.damagedBytes += scan.damagedBytes;
    own(scan.readings);
    for (let j = 0; j < scan.readings.length; j++) {
      const reading = scan.readings[j] as Reading;
      result.readings.push(reading);
      bytes += reading.bytes.length;
      if (reading.boot !== boot) boots++;
      boot = reading.boot;
      sequence = reading.sequence;
    }
    const limited = scan.stopped === 'size';
    if (!limited) sequence = through;
    lane.readSegment = segment.number;
    lane.readOffset = from + scan.cleanEnd;
    lane.readSequence = sequence;
    result.through = sequence;
    if (limited) break;
  }
  return result;
}
