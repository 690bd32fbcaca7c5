import type { ReadingsOptions } from '../api.ts';
import { optionInvalid } from '../errors.ts';

const DEFAULTS = {
  countMax: 1000,
  bytesMax: 262_144,
  ageMsMax: 60_000,
  /** Merged, gzipped and sent from memory, some ten times over; 50 a minute are 70 GB a day. */
  mergeBytesMax: 1_048_576,
};

export type BatchLimits = typeof DEFAULTS;

/** When a batch goes out and how large it is, checked before anything is opened. Throws FuselinkError `option_invalid`. */
export function checkReadings(readings: ReadingsOptions): BatchLimits {
  const limits = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof BatchLimits)[]) {
    const found = readings[name] ?? limits[name];
    if (!Number.isSafeInteger(found) || found < 1) {
      throw optionInvalid(`readings.${name} is expected as a whole number from 1 on, got ${found}`);
    }
    limits[name] = found;
  }
  return limits;
}
