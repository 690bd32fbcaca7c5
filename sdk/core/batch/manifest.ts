import type { BatchFormat } from './format.ts';
import type { ReadingMark, TimeTrust } from './reading.ts';
import { TIME_TRUSTS } from './reading.ts';

/**
 * Boots one batch may span: enough that a device in a reboot loop still merges its readings, few enough that the
 * manifest fits the 1000 characters of a transfer's note.
 */
export const BATCH_BOOTS_MAX = 4;

/** What readings of one boot are in a batch. Monotonic times compare within a boot only. */
export interface BootSpan {
  boot: number;
  first_sequence: number;
  last_sequence: number;
  first_monotonic_ms: number;
  last_monotonic_ms: number;
}

/** What a batch holds, in the words it has on the wire. */
export interface BatchManifest {
  version: 1;
  device: string;
  /** Names the spool, so that sequences of a device whose card was replaced are not taken for the old ones. */
  spool: string;
  format: BatchFormat;
  count: number;
  first_sequence: number;
  last_sequence: number;
  /** Sequences between first and last that are not in the file: dropped by policy, or damaged. */
  missing: number;
  boots: BootSpan[];
  /** Wall-clock times of first and last reading that had one, or null; and the worst trust of any reading. */
  first_wall_ms: number | null;
  last_wall_ms: number | null;
  time_trust: TimeTrust;
}

export function emptyManifest(device: string, spool: string, format: BatchFormat): BatchManifest {
  return {
    version: 1,
    device: device,
    spool: spool,
    format: format,
    count: 0,
    first_sequence: 0,
    last_sequence: 0,
    missing: 0,
    boots: [],
    first_wall_ms: null,
    last_wall_ms: null,
    time_trust: 'trusted',
  };
}

/** Whether a reading would need more boots than a manifest has room for. */
export function needsAnotherManifest(manifest: BatchManifest, reading: ReadingMark): boolean {
  const last = manifest.boots[manifest.boots.length - 1];
  return manifest.boots.length >= BATCH_BOOTS_MAX && last !== undefined && last.boot !== reading.boot;
}

/** Adds a reading, in place. Sequences are expected to rise. */
export function countReading(manifest: BatchManifest, reading: ReadingMark): void {
  const before = manifest.boots[manifest.boots.length - 1];
  if (before !== undefined && before.boot === reading.boot) {
    before.last_sequence = reading.sequence;
    before.last_monotonic_ms = reading.monotonicMs;
  } else {
    manifest.boots.push({
      boot: reading.boot,
      first_sequence: reading.sequence,
      last_sequence: reading.sequence,
      first_monotonic_ms: reading.monotonicMs,
      last_monotonic_ms: reading.monotonicMs,
    });
  }
  if (manifest.count === 0) manifest.first_sequence = reading.sequence;
  manifest.last_sequence = reading.sequence;
  manifest.count++;
  manifest.missing = manifest.last_sequence - manifest.first_sequence + 1 - manifest.count;
  if (reading.trust !== 'none') {
    if (manifest.first_wall_ms === null) manifest.first_wall_ms = reading.wallMs;
    manifest.last_wall_ms = reading.wallMs;
  }
  if (TIME_TRUSTS.indexOf(reading.trust) < TIME_TRUSTS.indexOf(manifest.time_trust)) {
    manifest.time_trust = reading.trust;
  }
}

/** One line of ASCII JSON, the same for the same readings: it is part of what an Idempotency-Key stands for. */
export function manifestText(manifest: BatchManifest): string {
  const json = JSON.stringify(manifest);
  let ascii = '';
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    ascii += code < 127 ? json.charAt(i) : '\\u' + (65536 + code).toString(16).substring(1);
  }
  return ascii;
}
