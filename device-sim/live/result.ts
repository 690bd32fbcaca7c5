import { INVARIANT_NAMES, INVARIANTS, type InvariantName } from '../oracle/invariants.ts';
import type { Operator } from '../swarm/operator.ts';
import { LIVE_CHECK_NAMES, LIVE_CHECKS } from './checks.ts';
import type { Removed } from './enrolment.ts';
import type { Bar } from './histogram.ts';
import type { Meter } from './meter.ts';
import type { LiveOptions } from './options.ts';
import type { LiveWorld } from './world.ts';

export interface Numbers {
  requests: number;
  answers: number;
  in_flight: number;
  devices: number;
  uploads: number;
  broken: number;
}

/** One thing that must hold, and whether it did. */
export interface Finding {
  name: string;
  /** What must hold, in words. */
  sentence: string;
  checks: number;
  /** Why it could not be looked at; null: it was. */
  skipped: string | null;
  broken: { device: number; at: string | null; what: string }[];
}

export interface Latency {
  verb: string;
  count: number;
  mean_ms: number;
  p50_ms: number;
  p90_ms: number;
  p99_ms: number;
  max_ms: number;
  histogram: Bar[];
}

/** What a run came to: the object that `live --json` ends with. No key, link or token is in it. */
export interface LiveResult {
  ok: boolean;
  interrupted: boolean;
  run: string;
  scenario: string;
  seed: number;
  devices: number;
  seconds: number;
  started_at: string;
  /** How many of the scenario's seconds passed in one. */
  speed: number;
  /** What the scenario expected and did not get; null where it got it. */
  missed: string | null;
  findings: Finding[];
  requests: number;
  requests_per_second: number;
  bytes_sent: number;
  latencies: Latency[];
  /** `upload 201` → how often; `none`: no answer came. */
  statuses: Record<string, number>;
  readings: { kept: number; delivered: number; dropped: number };
  uploads: { accepted: number; read_back: number };
  campaigns_completed: number;
  faults: Record<string, number>;
  removed: Removed;
}

/** Invariants of which messages and slots say nothing, and why. */
const UNSEEN: Partial<Record<InvariantName, string>> = {
  I10: 'needs the same run twice, which real time does not give: `swarm` checks it',
};

export function resultOf(what: {
  options: LiveOptions;
  world: LiveWorld;
  operator: Operator | null;
  meter: Meter;
  removed: Removed;
  readBack: number;
  missed: string | null;
  interrupted: boolean;
  seconds: number;
  run: string;
}): LiveResult {
  const { options, world, operator, meter, removed, interrupted, missed } = what;
  const findings = [...ofInvariants(world), ...ofChecks(world)];
  const ran = Math.max(0.001, world.clock.elapsedMs / 1000);
  return {
    ok: !interrupted && missed === null && findings.every(({ broken }) => broken.length === 0),
    interrupted,
    run: what.run,
    scenario: options.scenario.name,
    seed: options.seed,
    devices: options.devices,
    seconds: round(what.seconds),
    started_at: new Date(world.clock.startedAtMs).toISOString(),
    speed: round(world.clock.speed),
    missed,
    findings,
    requests: meter.requests,
    requests_per_second: round(meter.requests / ran),
    bytes_sent: meter.bytesSent,
    latencies: latenciesOf(meter),
    statuses: Object.fromEntries([...meter.statuses].sort(([a], [b]) => (a < b ? -1 : 1))),
    readings: world.oracle.readings.totals(),
    uploads: { accepted: world.uploads.count, read_back: what.readBack },
    campaigns_completed: operator?.completed ?? 0,
    faults: world.recorder.faults,
    removed,
  };
}

function ofInvariants({ invariants, clock }: LiveWorld): Finding[] {
  return INVARIANT_NAMES.map((name) => ({
    name,
    sentence: INVARIANTS[name],
    checks: invariants.checks[name],
    skipped: UNSEEN[name] ?? null,
    broken: invariants.found
      .filter(({ invariant }) => invariant === name)
      .map(({ device, what, atMs }) => ({ device, at: new Date(clock.realMs(atMs)).toISOString(), what })),
  }));
}

function ofChecks({ checks }: LiveWorld): Finding[] {
  return LIVE_CHECK_NAMES.map((name) => ({
    name,
    sentence: LIVE_CHECKS[name],
    checks: checks.checks[name],
    skipped: checks.checks[name] === 0 ? (checks.skipped.get(name) ?? null) : null,
    broken: checks.found.filter(({ check }) => check === name).map(({ device, what }) => ({ device, at: null, what })),
  }));
}

function latenciesOf(meter: Meter): Latency[] {
  return [...meter.latencies].map(([verb, histogram]) => ({
    verb,
    count: histogram.count,
    mean_ms: round(histogram.meanMs),
    p50_ms: round(histogram.atMs(0.5)),
    p90_ms: round(histogram.atMs(0.9)),
    p99_ms: round(histogram.atMs(0.99)),
    max_ms: round(histogram.maxMs),
    histogram: histogram.bars().map(({ upToMs, count }) => ({ upToMs: round(upToMs), count })),
  }));
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
