import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { encodeFooter, encodeReading, FOOTER_BYTES, segmentName, segmentSalt } from '#sdk/core';

const SEGMENT_BYTES = 1_048_576;
const READING_BYTES = 116;
export const READINGS_A_SEGMENT = 6_900;

export interface BacklogOptions {
  segments: number;
  /** The oldest so many hold readings; the others are holes up to their footer, as large to whoever opens them. */
  whole: number;
}

/** A reading as a sensor gives it: no two alike, so that it does not compress away. */
export function backlogReading(sequence: number): string {
  const noise = Math.imul(sequence ^ (sequence >>> 7), 0x2c1b3c6d) >>> 0;
  const text = `{"n":${sequence},"celsius":${(noise % 60_000) / 1000},"pascal":${90_000 + (noise % 20_011)},"raw":"${noise.toString(36)}"`;
  return `${text.padEnd(READING_BYTES - 1)}}`;
}

/** Lane 1 of a spool as weeks without a network leave it, a mebibyte a segment. */
export function writeBacklog(folder: string, options: BacklogOptions): void {
  mkdirSync(folder, { recursive: true });
  for (let number = 1; number <= options.segments; number++) {
    const path = join(folder, segmentName(1, number));
    const salt = segmentSalt(segmentName(1, number));
    const firstSequence = (number - 1) * READINGS_A_SEGMENT + 1;
    const lastSequence = number * READINGS_A_SEGMENT;
    const footer = encodeFooter({ readings: READINGS_A_SEGMENT, firstSequence, lastSequence }, salt);
    if (number > options.whole) {
      const file = openSync(path, 'w');
      ftruncateSync(file, SEGMENT_BYTES - FOOTER_BYTES);
      writeSync(file, footer, 0, FOOTER_BYTES, SEGMENT_BYTES - FOOTER_BYTES);
      closeSync(file);
      continue;
    }
    const frames: Uint8Array[] = [];
    for (let sequence = firstSequence; sequence <= lastSequence; sequence++) {
      const bytes = Buffer.from(backlogReading(sequence));
      frames.push(encodeReading({ bytes, sequence, boot: 1, monotonicMs: sequence, wallMs: 1, trust: 'none' }, salt));
    }
    writeFileSync(path, Buffer.concat([...frames, footer]));
  }
}
