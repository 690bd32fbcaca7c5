import { scenarioNamed } from '../scenarios/index.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { FAULT_NAMES, type FaultName } from '../swarm/faults.ts';
import { DAY_MS, SWARM_DEFAULTS } from '../swarm/options.ts';
import type { Credentials } from './management.ts';

/** One run against a server. */
export interface LiveOptions {
  url: URL;
  /** PEM certificates to trust. */
  ca?: string;
  credentials: Credentials;
  scenario: Scenario;
  devices: number;
  /** Uploads a second of the whole fleet. */
  rate: number;
  /** Real time that the scenario's days are told in. */
  durationMs: number;
  faults: readonly FaultName[];
  seed: number;
  connectionsMax: number;
  /** Share of the accepted uploads that are read back through their links, 0 to 1. */
  readBack: number;
  /** Keep every entry of the trace, for a report. */
  keepTrace: boolean;
}

/** What a device sends in a minute at most: ten of its sixty are kept for the lane of its rotation. */
export const UPLOADS_A_MINUTE_MAX = 50;
export const UPLOADS_A_MINUTE_USUAL = 6;
export const BATCH_COUNT = 4;
export const DEVICES_MAX = 20_000;
export const CONNECTIONS_MAX = 512;

/**
 * How a scenario goes with a real server, whose clock, windows and sweeps nobody can speed up: how long it usually takes,
 * and the least in which it is still the same story. A scenario that is not here runs at its own pace.
 */
const PACES: Readonly<Record<string, { secondsUsual: number; secondsMin: number; why: string }>> = {
  'rotation-under-load': {
    secondsUsual: 60,
    secondsMin: 4,
    why: 'devices have to be enrolled and heard before the campaign begins',
  },
  'outage-then-herd': {
    secondsUsual: 120,
    secondsMin: 30,
    why: 'the campaign has to be under way when the outage begins',
  },
  'stolen-key': { secondsUsual: 90, secondsMin: 30, why: 'the copy has to be heard, and the device to recover' },
  'bad-canary': { secondsUsual: 60, secondsMin: 20, why: 'the canary has to be asked, heard and rolled back' },
};

const IMPOSSIBLE: Readonly<Record<string, string>> = {
  'database-restored':
    'it brings the server’s database back from a backup, which no client can: `swarm` runs it, and on a server of your own `fuselink-server restore` does',
};

/** How long the scenario takes unless it is said. Throws RangeError where it cannot be run from outside. */
export function usualSeconds(scenario: Scenario): number {
  const impossible = IMPOSSIBLE[scenario.name];
  if (impossible !== undefined) throw new RangeError(`${scenario.name} cannot be run against a server: ${impossible}`);
  return PACES[scenario.name]?.secondsUsual ?? ownSeconds(scenario);
}

/** Throws RangeError, with what is expected, for a duration in which the scenario would be another. */
export function checkDuration(scenario: Scenario, seconds: number): void {
  const pace = PACES[scenario.name];
  const least = pace?.secondsMin ?? ownSeconds(scenario);
  if (seconds >= least) return;
  const why = pace?.why ?? 'the server’s clock is real and cannot be sped up; `swarm` runs it in virtual time';
  const expected = least > 86_400 ? `${least / 86_400}d, its real pace` : `${least}s or more`;
  throw new RangeError(`--duration: ${scenario.name} is expected to take ${expected}, got ${seconds}s (${why})`);
}

/** The scenarios whose pace against a server is known: those that can be sped up, and those that cannot be run at all. */
export const PACED = [...Object.keys(PACES), ...Object.keys(IMPOSSIBLE)];

function ownSeconds(scenario: Scenario): number {
  return daysOf(scenario) * (DAY_MS / 1000);
}

export function daysOf(scenario: Scenario): number {
  return scenario.options.days ?? SWARM_DEFAULTS.days;
}

/** Faults that a client can cause: what happens to its connections, its devices, and what its operator does. */
export const LIVE_FAULTS: readonly FaultName[] = FAULT_NAMES.filter(
  // Weeks on the way are not to be had, and brokers and servers are not the client's.
  (name) => /^(net|device|operator)-/.test(name) && name !== 'net-delay',
);

/** The kinds that strike: those asked for, or the scenario's own as far as a client can cause them. */
export function faultsOf(scenario: string, asked: readonly FaultName[] | undefined): FaultName[] {
  if (asked === undefined) {
    return (scenarioNamed(scenario).options.faults ?? []).filter((name) => LIVE_FAULTS.includes(name));
  }
  const cannot = asked.filter((name) => !LIVE_FAULTS.includes(name));
  if (cannot.length === 0) return [...asked];
  throw new RangeError(
    `--only: expected faults that a client can cause, got ${cannot.join(', ')}: those of the server are yours to cause`,
  );
}

const SECONDS_MIN: Readonly<Record<string, number>> = {
  // An operator on a real connection must be able to roll back what is proven.
  soak_seconds: 5,
  silence_seconds: 90,
  wave_seconds_max: 60,
  stragglers_seconds_max: 60,
  pending_ttl_seconds: 900,
};

/**
 * A campaign's rules in real seconds: the scenario's, sped up with it, and never shorter than what a device on a real
 * connection may take.
 */
export function realSeconds(rules: Record<string, unknown>, speed: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(rules).map(([name, value]) => {
      if (typeof value !== 'number' || !/_seconds(_max)?$/.test(name)) return [name, value];
      return [name, Math.max(SECONDS_MIN[name] ?? 1, Math.ceil(value / speed))];
    }),
  );
}
