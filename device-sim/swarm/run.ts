import { type Broken, INVARIANT_NAMES, type InvariantName } from '../oracle/invariants.ts';
import { scenarioNamed } from '../scenarios/index.ts';
import { calm, Ending, lastQuestions, REST_DAYS_MAX } from './ending.ts';
import { storm } from './fleet.ts';
import { Operator } from './operator.ts';
import { DAY_MS, EPOCH_MS, HOUR_MS, replayLine, type SwarmOptions } from './options.ts';
import type { Entry, Sample } from './recorder.ts';
import { World } from './world.ts';

const YEAR_MS = 365 * DAY_MS;
/** Far more than the busiest device causes: beyond it something goes round in circles. */
const EVENTS_A_DEVICE_DAY_MAX = 50_000;

/** What a run came to. The object of `swarm --json` is made of it. */
export interface SwarmResult {
  options: SwarmOptions;
  ok: boolean;
  traceHash: string;
  /** Happenings that were run: timers that fired, messages that arrived, statements that went on. */
  events: number;
  deviceYears: number;
  virtualDays: number;
  checks: Record<InvariantName, number>;
  broken: Broken[];
  faults: Record<string, number>;
  coverage: Coverage;
  campaigns: number;
  readings: { kept: number; delivered: number; dropped: number };
  /** Files that a recipient has read to the end. */
  filesRead: number;
  samples: Sample[];
  entries: Entry[];
  /** What the scenario expected and did not get; null where it got it, or there is none. */
  missed: string | null;
  replay: string;
}

export interface Coverage {
  device: Record<string, Record<string, number>>;
  server: Record<string, Record<string, number>>;
  campaign: Record<string, Record<string, number>>;
}

export interface RunHooks {
  /** How far the run is, from 0 to 1; called outside of virtual time. */
  progress?(done: number, events: number): void | Promise<void>;
  /** Every wall clock is right, whatever faults say: for the comparison of I10. */
  rightClocks?: boolean;
  /** Called when everything is on the clock: for what is to go wrong beside it. */
  begun?(world: World, operator: Operator): void;
  /** Ends with the first break of this one, or of any: where only one is looked for. */
  stopWhenBroken?: InvariantName | 'any';
}

/** One run, from enrolment through the storm to rest. Throws only for bugs of the simulator (and traps that were touched). */
export async function runSwarm(options: SwarmOptions, hooks: RunHooks = {}): Promise<SwarmResult> {
  const world = new World(options, hooks.rightClocks === true);
  const { kernel } = world;
  const operator = new Operator(world);
  world.onRegistered = (member) => operator.registered(member);
  await kernel.still(() => world.servers.open());
  enrolFleet(world);
  sweepRegularly(world);
  const scenario = options.scenario === null ? null : scenarioNamed(options.scenario);
  if (scenario === null) operator.start();
  else scenario.begin(world, operator);
  hooks.begun?.(world, operator);
  if (options.faults.length > 0) storm(world);

  const stormEndsMs = EPOCH_MS + options.days * DAY_MS;
  const ranAway = options.devices * (options.days + REST_DAYS_MAX) * EVENTS_A_DEVICE_DAY_MAX;
  const failed = () => {
    if (kernel.events > ranAway)
      world.fail(new Error(`the run ran away: ${kernel.events} events; ${replayLine(options)}`));
    if (world.error !== null) return true;
    if (hooks.stopWhenBroken === undefined) return false;
    const found = world.invariants.found.some(({ invariant }) => isLookedFor(invariant, hooks));
    return found || (hooks.stopWhenBroken === 'any' && world.serverFailure !== null);
  };
  const breathe = () =>
    hooks.progress?.(Math.min(0.9, (0.9 * (kernel.nowMs - EPOCH_MS)) / (options.days * DAY_MS)), kernel.events);
  await kernel.run(stormEndsMs, failed, breathe);
  if (world.error !== null) throw world.error;
  if (failed()) return resultOf(world, operator, { events: kernel.events, missed: world.serverFailure });
  const unmet = scenario?.expectsByThen?.(world, operator) ?? null;
  calm(world, operator);
  const ending = new Ending(world, operator);
  await kernel.run(stormEndsMs + REST_DAYS_MAX * DAY_MS, () => failed() || ending.rest.reached, breathe);
  if (world.error !== null) throw world.error;
  if (failed()) return resultOf(world, operator, { events: kernel.events, missed: world.serverFailure });
  const events = kernel.events;
  await kernel.still(() => lastQuestionsOf(world, ending));
  if (world.error !== null) throw world.error;
  const missed = world.serverFailure ?? unmet ?? scenario?.expects(world, operator) ?? null;
  return resultOf(world, operator, { events, missed });
}

function isLookedFor(invariant: InvariantName, { stopWhenBroken }: RunHooks): boolean {
  return stopWhenBroken === 'any' || stopWhenBroken === invariant;
}

async function lastQuestionsOf(world: World, ending: Ending): Promise<void> {
  // Statements no longer wait: nothing moves the clock any more.
  world.servers.stopWaiting();
  await lastQuestions(world, ending.rest);
}

function enrolFleet(world: World): void {
  const { kernel, options, chance } = world;
  for (let number = 0; number < options.devices; number++) {
    const tryIt = () =>
      world.enrol(number, (member) => {
        if (member === null) kernel.after(HOUR_MS / 60, tryIt);
        else world.powerUp(number);
      });
    kernel.after(chance.fleet.below(HOUR_MS), tryIt);
  }
}

/** The server's own clockwork. */
export function sweepRegularly(world: World): void {
  world.kernel.after(world.options.sweepEveryMs, () => {
    sweepRegularly(world);
    world.servers.sweep();
  });
}

function resultOf(world: World, operator: Operator, seen: { events: number; missed: string | null }): SwarmResult {
  const { options, kernel, invariants, recorder, oracle } = world;
  for (const one of invariants.found) kernel.trace.addText(one.invariant);
  const virtualMs = kernel.nowMs - EPOCH_MS;
  return {
    options,
    ok: invariants.found.length === 0 && seen.missed === null,
    traceHash: kernel.trace.hex(),
    events: seen.events,
    missed: seen.missed,
    deviceYears: (options.devices * virtualMs) / YEAR_MS,
    virtualDays: virtualMs / DAY_MS,
    checks: invariants.checks,
    broken: invariants.found,
    faults: recorder.faults,
    coverage: { device: recorder.device, server: recorder.server, campaign: recorder.campaign },
    campaigns: operator.completed,
    readings: oracle.readings.totals(),
    filesRead: oracle.reads.burned,
    samples: recorder.samples,
    entries: recorder.entries,
    replay: replayLine(
      options,
      options.scenario === null ? undefined : [...(scenarioNamed(options.scenario).options.faults ?? [])],
    ),
  };
}

/** The object that `swarm --json` prints. */
export function swarmJson(result: SwarmResult): object {
  const invariants = Object.fromEntries(
    INVARIANT_NAMES.map((name) => {
      const broken = result.broken.filter(({ invariant }) => invariant === name);
      return [name, { holds: broken.length === 0, checks: result.checks[name], broken }];
    }),
  );
  const { options } = result;
  return {
    ok: result.ok,
    seed: options.seed,
    devices: options.devices,
    trace_hash: result.traceHash,
    events: result.events,
    device_years: Number(result.deviceYears.toFixed(4)),
    virtual_days: Number(result.virtualDays.toFixed(2)),
    campaigns_completed: result.campaigns,
    readings: result.readings,
    files_read: result.filesRead,
    scenario: options.scenario,
    missed: result.missed,
    invariants,
    faults: result.faults,
    coverage: result.coverage,
    replay: result.replay,
  };
}
