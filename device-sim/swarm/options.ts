import { Chance } from '../kernel/chance.ts';
import type { CanaryName } from './canaries.ts';
import { FAULT_NAMES, type FaultName } from './faults.ts';

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;
export const MINUTE_MS = 60_000;

/** When every run begins: a fixed day, so that a trace says the same on any date. */
export const EPOCH_MS = 1_800_000_000_000;

/** One run. The same options give the same trace, on every machine. */
export interface SwarmOptions {
  seed: number;
  devices: number;
  /** Virtual time with faults; then everything heals and must come to rest. */
  days: number;
  /** Kinds that may strike in this run. */
  faults: readonly FaultName[];
  /** Rates of all faults, as a share of those of a storm (`FAULT_RATES`), which few devices outlive for a season. */
  faultShare: number;
  /** Days between two campaigns; 0: one, at the start of the second day. */
  campaignEveryDays: number;
  readingEveryMs: number;
  batchCount: number;
  batchAgeMs: number;
  /** How often the server looks at what is due. */
  sweepEveryMs: number;
  /** Every so many devices are told of wishes by a broker as well, whose bridge asks for them; 0: none. */
  behindBrokerEvery: number;
  /** A bug that is planted: the run must find it. */
  canary: CanaryName | null;
  /** Keep every entry of the trace, for stories and reports. */
  keepTrace: boolean;
  /** node:crypto on the server instead of its stand-in. */
  realCrypto: boolean;
  /** What a scenario orders at its times; null: the ordinary operator. */
  scenario: string | null;
}

export const SWARM_DEFAULTS: Omit<SwarmOptions, 'seed' | 'faults'> = {
  devices: 12,
  days: 12,
  faultShare: 1,
  campaignEveryDays: 5,
  readingEveryMs: 2 * HOUR_MS,
  batchCount: 6,
  batchAgeMs: 8 * HOUR_MS,
  sweepEveryMs: 10 * MINUTE_MS,
  behindBrokerEvery: 3,
  canary: null,
  keepTrace: false,
  realCrypto: false,
  scenario: null,
};

/** About a third of the kinds is off in any run, so that what one hides another run shows. */
const OFF = 0.35;

/** The kinds of fault that strike in the run of this seed. */
export function faultsOfSeed(seed: number): FaultName[] {
  const chance = new Chance(seed, 'which faults');
  return FAULT_NAMES.filter(() => !chance.yes(OFF));
}

/** The options of a seed, with what a scenario sets, and what the caller wants otherwise. */
export function swarmOptions(
  given: Partial<SwarmOptions> & { seed: number },
  ofScenario: Partial<SwarmOptions> = {},
): SwarmOptions {
  return { ...SWARM_DEFAULTS, faults: faultsOfSeed(given.seed), ...ofScenario, ...given };
}

/** The one line that runs this again. */
export function replayLine(options: SwarmOptions, usualFaults = faultsOfSeed(options.seed)): string {
  const words = ['npm run -s sim -- swarm', `--seed ${options.seed}`];
  const { devices, days, campaignEveryDays: every, canary, scenario } = options;
  words.push(`--devices ${devices}`, `--days ${days}`);
  if (every !== SWARM_DEFAULTS.campaignEveryDays) words.push(`--campaign-every ${every}`);
  if (scenario !== null) words.push(`--scenario ${scenario}`);
  if (options.realCrypto) words.push('--real-crypto');
  if (canary !== null) words.push(`--canary ${canary}`);
  const same =
    usualFaults.length === options.faults.length && usualFaults.every((name) => options.faults.includes(name));
  if (!same) words.push(`--only ${options.faults.length === 0 ? 'none' : options.faults.join(',')}`);
  return words.join(' ');
}
