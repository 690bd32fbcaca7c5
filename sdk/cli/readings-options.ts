import type { ReadingLane, ReadingsOptions } from '#sdk/node';
import { DEFAULT_LANES } from '#sdk/node';
import { UsageError } from './exit-codes.ts';
import type { OptionSpecs, Parsed } from './options.ts';
import { oneOf, parseDuration, parseSize, textOption, wholeOption } from './options.ts';

/** A lane of readings that is none of the two every spool has is like lane 1 until told otherwise. */
const READINGS_LANE = 1;
const LANE_MAX = 7;
/** Two segments: one is filled while the other is sent. */
const LANE_BYTES_MIN = 2_097_152;

/** How lines become files, and how they are kept until they are sent. */
export const READINGS_OPTIONS = {
  format: { type: 'string', value: 'FORMAT', help: 'ndjson (default) or csv: what the lines are' },
  header: { type: 'string', value: 'LINE', help: 'csv: first line of each file' },
  manifest: { type: 'boolean', help: 'the manifest as first line of each file too (it is the note in any case)' },
  count: { type: 'string', value: 'N', help: 'send at this many lines (default 1000)' },
  bytes: { type: 'string', value: 'SIZE', help: 'or at this size (default 262144)' },
  age: { type: 'string', value: 'DURATION', help: 'or at this age (default 60s)' },
  merge: { type: 'string', value: 'SIZE', help: 'largest file a backlog is merged into (default 1048576)' },
  'no-gzip': { type: 'boolean', help: 'send the files as they are' },
  recipient: { type: 'string', value: 'WHO', help: 'whom the files are for' },
  ttl: { type: 'string', value: 'DURATION', help: 'how long the links live (default 7d)' },
  spool: { type: 'string', value: 'DIR', help: 'where lines are kept (default: in FUSELINK_STATE)' },
  lane: { type: 'string', value: 'N', help: '1 (default), or 0: at once, and never dropped; 2 to 7: of your own' },
  cap: {
    type: 'string',
    value: 'SIZE',
    help: 'the lane’s bytes on the disk, hard (default: lane 0 4 MB, others 1 GB)',
  },
  'when-full': {
    type: 'string',
    value: 'POLICY',
    help: 'drop-oldest (default), block (wait with reading), or never-drop (refuse the new; default of lane 0)',
  },
  sync: {
    type: 'string',
    value: 'WHEN',
    help: 'durable: every (before the next), interval (default) or none (when the system gets to it)',
  },
  'sync-interval': { type: 'string', value: 'DURATION', help: 'of --sync interval (default 1s)' },
  'daily-cap': {
    type: 'string',
    value: 'SIZE',
    help: 'bytes written to the disk in 24 h, hard: flash wears (default 5G)',
  },
} as const satisfies OptionSpecs;

/** The lane lines go to. Throws UsageError. */
export function laneOf(parsed: Parsed): number {
  const lane = wholeOption(parsed, 'lane') ?? READINGS_LANE;
  if (lane > LANE_MAX) throw new UsageError(`--lane is expected as 0 to ${LANE_MAX}, got ${lane}`);
  return lane;
}

function lanesOf(parsed: Parsed): ReadingLane[] | undefined {
  const lane = laneOf(parsed);
  const cap = sizeOption(parsed, 'cap');
  const whenFull = oneOf(parsed, 'when-full', ['drop-oldest', 'block', 'never-drop'] as const);
  const sync = oneOf(parsed, 'sync', ['every', 'interval', 'none'] as const);
  const interval = textOption(parsed, 'sync-interval');
  const known = DEFAULT_LANES.find((one) => one.lane === lane);
  if (cap !== undefined && cap < LANE_BYTES_MIN) {
    throw new UsageError(`--cap is expected as ${LANE_BYTES_MIN} bytes or more, got ${cap}`);
  }
  if (known !== undefined && cap === undefined && (whenFull ?? sync ?? interval) === undefined) return undefined;
  const base = known ?? (DEFAULT_LANES.find((one) => one.lane === READINGS_LANE) as ReadingLane);
  const own: ReadingLane = {
    lane,
    whenFull: whenFull ?? base.whenFull,
    sync: sync ?? base.sync,
    syncIntervalMs:
      interval === undefined ? base.syncIntervalMs : Math.max(1, parseDuration(interval, '--sync-interval') * 1000),
    bytesMax: cap ?? base.bytesMax,
  };
  return [...DEFAULT_LANES.filter((one) => one.lane !== lane), own];
}

function sizeOption(parsed: Parsed, name: string): number | undefined {
  const text = textOption(parsed, name);
  return text === undefined ? undefined : parseSize(text, `--${name}`);
}

function secondsOption(parsed: Parsed, name: string): number | undefined {
  const text = textOption(parsed, name);
  return text === undefined ? undefined : parseDuration(text, `--${name}`);
}

/** The options as the library takes them. Throws UsageError. */
export function readingsOf(parsed: Parsed): ReadingsOptions {
  const age = secondsOption(parsed, 'age');
  return {
    format: oneOf(parsed, 'format', ['ndjson', 'csv'] as const) ?? 'ndjson',
    csvHeader: textOption(parsed, 'header'),
    embedManifest: parsed.values['manifest'] === true,
    gzip: parsed.values['no-gzip'] !== true,
    folder: textOption(parsed, 'spool'),
    countMax: wholeOption(parsed, 'count'),
    bytesMax: sizeOption(parsed, 'bytes'),
    ageMsMax: age === undefined ? undefined : Math.max(1, age * 1000),
    mergeBytesMax: sizeOption(parsed, 'merge'),
    recipient: textOption(parsed, 'recipient'),
    ttlSeconds: secondsOption(parsed, 'ttl'),
    lanes: lanesOf(parsed),
    bytesPerDayMax: sizeOption(parsed, 'daily-cap'),
  };
}
