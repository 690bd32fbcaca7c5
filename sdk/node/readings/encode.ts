import type { BatchFormat } from '#sdk/core';
import { checkReading, csvRow } from '#sdk/core';
import type { ReadingValue } from '../api.ts';
import { FuselinkError } from '../errors.ts';

/** One reading larger than this is a file: `send` it. */
const READING_BYTES_MAX = 262_144;

/**
 * A reading as it lies in a file of `format`: bytes and text as they are, a list as a CSV row, anything else as JSON.
 * Throws FuselinkError `reading_invalid` for what cannot stand there.
 */
export function encodeReading(value: ReadingValue, format: BatchFormat): Uint8Array {
  const bytes = value instanceof Uint8Array ? value : Buffer.from(asText(value, format), 'utf8');
  const fits = checkReading(format, bytes);
  if (fits === 'empty') throw new FuselinkError('reading_invalid', 'a reading is expected to have at least one byte');
  if (fits === 'line_break') {
    throw new FuselinkError(
      'reading_invalid',
      `a reading is one line of a file of ${format}, and this one has a line break`,
    );
  }
  if (bytes.byteLength > READING_BYTES_MAX) {
    const most = `a reading has at most ${READING_BYTES_MAX} bytes`;
    throw new FuselinkError('reading_invalid', `${most}, and this one has ${bytes.byteLength}: send it as a file`);
  }
  return bytes;
}

function asText(value: Exclude<ReadingValue, Uint8Array>, format: BatchFormat): string {
  if (typeof value === 'string') return value;
  if (format === 'csv' && Array.isArray(value)) return csvRow(value as (string | number | boolean | null)[]);
  if (format === 'raw') throw new FuselinkError('reading_invalid', 'a raw reading is expected as bytes or text');
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined)
    throw new FuselinkError('reading_invalid', `expected something JSON can hold, got ${typeof value}`);
  return text;
}
