import type { SwarmOptions } from './options.ts';

/** A bundle of seeds: how many, how large, and whether a cell of the matrix that was never hit is a failure. */
export interface Preset {
  seeds: number;
  options: Partial<SwarmOptions>;
  coverageMustBeFull: boolean;
  /** In every so many seeds the run is done twice, with other wall clocks (I10); 0: in none. */
  twinEvery: number;
}

export const PRESETS: Readonly<Record<string, Preset>> = {
  /** A few seconds, for `npm test`. */
  smoke: { seeds: 4, options: { devices: 3, days: 4, campaignEveryDays: 2 }, coverageMustBeFull: false, twinEvery: 3 },
  /** What the long tests run, on two cores. */
  ci: { seeds: 200, options: { devices: 4, days: 4, campaignEveryDays: 2 }, coverageMustBeFull: false, twinEvery: 10 },
  nightly: { seeds: 1000, options: { devices: 16, days: 20 }, coverageMustBeFull: true, twinEvery: 10 },
};
