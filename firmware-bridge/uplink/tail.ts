import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NO_LIMITS, readingKeeper, scanSegment } from '#sdk/core';
import { decodeEnvelope, messageDigest } from './envelope.ts';
import type { RepeatRecord } from './repeats.ts';

/** Segments looked at: what a client may not have seen acknowledged is among the last readings. */
const SEGMENTS = 2;

/**
 * Under which packet ids the last readings in a spool's folder came. A crash may have come between a reading's place on
 * the disk and its acknowledgement: then its repeat is known by this.
 */
export function tailOf(folder: string, lane: number): RepeatRecord {
  const record: RepeatRecord = {};
  for (const name of segmentsIn(folder, lane).slice(-SEGMENTS)) {
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(folder, name));
    } catch {
      // Unreadable for the spool as well, which counts it.
      continue;
    }
    const read = (_name: string, from: number, length: number) => bytes.subarray(from, from + length);
    const { readings, take } = readingKeeper();
    scanSegment({ read }, name, 0, bytes.length, -1, NO_LIMITS, take);
    for (const reading of readings) {
      const envelope = decodeEnvelope(reading.bytes);
      if (envelope?.session == null) continue;
      const entries = record[envelope.session] ?? [];
      record[envelope.session] = entries;
      entries.push([envelope.packetId, messageDigest(envelope.channel, envelope.payload)]);
    }
  }
  return record;
}

function segmentsIn(folder: string, lane: number): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.startsWith(`lane-${lane}-`))
      .sort();
  } catch {
    return [];
  }
}
