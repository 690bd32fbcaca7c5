import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { INVARIANTS } from '../oracle/invariants.ts';
import { SCENARIOS, scenarioNamed } from '../scenarios/index.ts';
import { CANARIES, CANARY_NAMES, type CanaryName } from './canaries.ts';
import { coverageText, neverHit } from './coverage.ts';
import { faultList } from './fault-list.ts';
import { FAULT_NAMES, FAULTS, type FaultName } from './faults.ts';
import { type Batch, runMany, runTwins } from './many.ts';
import { faultsOfSeed, type SwarmOptions, swarmOptions } from './options.ts';
import { PRESETS } from './presets.ts';
import { startProcesses } from './processes.ts';
import { reportPage } from './report/page.ts';
import { runSwarm, type SwarmResult, swarmJson } from './run.ts';
import { shrink } from './shrink.ts';
import { storyOf } from './story.ts';

interface Output {
  out(text: string): void;
  err(text: string): void;
}

interface Given {
  seed: number;
  seeds?: number;
  jobs?: number;
  devices?: number;
  days?: number;
  campaignEvery?: number;
  only?: FaultName[];
  without?: FaultName[];
  scenario?: string;
  canary?: CanaryName;
  preset?: string;
  realCrypto: boolean;
  twin: boolean;
  shrink: boolean;
  coverage: boolean;
  report?: string;
  json: boolean;
}

const HELP = `
The real device core against the real server's use cases, in one process and in virtual time. A third of these kinds of
fault is off in any seed; then everything heals, and the fleet must come to rest:
${FAULT_NAMES.map((name) => `  ${name.padEnd(22)} ${FAULTS[name]}`).join('\n')}

Scenarios (--scenario NAME): no faults but their own.
${SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(22)} ${summary}`).join('\n')}

Bugs that can be planted (--canary NAME); a run must find them:
${CANARY_NAMES.map((name) => `  ${name.padEnd(22)} ${CANARIES[name].breaks.padEnd(4)} ${CANARIES[name].what}`).join('\n')}

Presets (--preset): ${Object.entries(PRESETS)
  .map(([name, { seeds }]) => `${name} (${seeds} seeds)`)
  .join(', ')}; nightly fails, too, for a state and event that no seed ever brought together.`;

function whole(min: number) {
  return (text: string) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= Number.MAX_SAFE_INTEGER) return value;
    throw new InvalidArgumentError(`expected a whole number of at least ${min}, got ${text}.`);
  };
}

/** Adds `fuselink-sim swarm`. `exit` is called with 1 where an invariant is broken. */
export function addSwarmVerb(program: Command, output: Output, exit: (code: number) => void): void {
  const names = SCENARIOS.map(({ name }) => name);
  program
    .command('swarm')
    .description('run a whole fleet through faults, in virtual time, from a seed')
    .option('--seed <n>', 'the seed, or the first of several', whole(0), 1)
    .option('--seeds <n>', 'so many seeds', whole(1))
    .option('--jobs <n>', 'so many seeds at a time, each in a process of its own (default: as many as cores)', whole(1))
    .option('--devices <n>', 'devices in the fleet', whole(1))
    .option('--days <n>', 'days of trouble, before everything heals', whole(1))
    .option('--campaign-every <days>', 'days between two campaigns', whole(0))
    .option('--only <faults>', 'these kinds of fault alone, or none', faultList)
    .option('--without <faults>', 'the seed’s kinds of fault but these', faultList)
    .addOption(new Option('--scenario <name>', 'a story instead of the seed’s faults').choices(names))
    .addOption(new Option('--canary <name>', 'plant this bug').choices(CANARY_NAMES))
    .addOption(new Option('--preset <name>', 'a bundle of seeds').choices(Object.keys(PRESETS)))
    .option('--real-crypto', 'node:crypto for what only the server undoes, instead of a stand-in', false)
    .option('--twin', 'run it again with right wall clocks, and compare (I10)', false)
    .option('--shrink', 'make a failing run smaller, and tell its story', false)
    .option('--coverage', 'print the matrix of states and events', false)
    .option('--report <file>', 'write a page of its own: campaign, fleet, faults, the story of every device')
    .option('--json', 'print one object and nothing else', false)
    .addHelpText('after', HELP)
    .action(async (given: Given) => {
      const several = given.preset !== undefined || (given.seeds ?? 1) > 1;
      exit(several ? await runBatch(given, output) : await runOne(given, output));
    });
}

function optionsOf(given: Given, seed: number, ofPreset: Partial<SwarmOptions> = {}): SwarmOptions {
  const ofScenario = given.scenario === undefined ? {} : scenarioNamed(given.scenario).options;
  const usual = given.scenario === undefined ? faultsOfSeed(seed) : [...(ofScenario.faults ?? [])];
  const faults = given.only ?? usual.filter((name) => given.without?.includes(name) !== true);
  const said: Partial<SwarmOptions> = {
    faults,
    scenario: given.scenario ?? null,
    canary: given.canary ?? null,
    realCrypto: given.realCrypto,
    keepTrace: given.report !== undefined || given.shrink,
  };
  if (given.devices !== undefined) said.devices = given.devices;
  if (given.days !== undefined) said.days = given.days;
  if (given.campaignEvery !== undefined) said.campaignEveryDays = given.campaignEvery;
  return swarmOptions({ ...ofPreset, ...said, seed }, ofScenario);
}

async function runOne(given: Given, output: Output): Promise<number> {
  const options = optionsOf(given, given.seed);
  let shown = -1;
  const progress = (done: number, events: number) => {
    const percent = Math.floor(done * 100);
    if (given.json || percent === shown) return;
    shown = percent;
    output.err(`${String(percent).padStart(3)} %  ${events} events\n`);
  };
  const result = given.twin ? await runTwins(options) : await runSwarm(options, { progress });
  if (given.report !== undefined) await writeFile(given.report, reportPage(result));
  output.out(given.json ? `${JSON.stringify(swarmJson(result))}\n` : resultText(result));
  if (given.coverage && !given.json) output.out(`${coverageText(result.coverage)}\n`);
  if (!result.ok && given.shrink) await tellShrunk(result, output);
  return result.ok ? 0 : 1;
}

async function tellShrunk(result: SwarmResult, output: Output): Promise<void> {
  const first = result.broken[0];
  if (first === undefined) return;
  const shrunk = await shrink({ ...result.options, keepTrace: false }, first.invariant, (options) => {
    const { devices, days, faults } = options;
    output.err(`smaller: devices ${devices}, days ${days}, kinds of fault ${faults.length}\n`);
  });
  const broken = shrunk.result.broken.find(({ invariant }) => invariant === first.invariant) ?? first;
  output.err(`after ${shrunk.tries} runs: ${shrunk.result.replay}\n`);
  for (const line of storyOf(shrunk.result.entries, broken)) output.err(`  ${line}\n`);
}

async function runBatch(given: Given, output: Output): Promise<number> {
  const preset = given.preset === undefined ? null : PRESETS[given.preset];
  const seeds = given.seeds ?? preset?.seeds ?? 1;
  const all = Array.from({ length: seeds }, (_, at) => optionsOf(given, given.seed + at, preset?.options));
  const count = Math.min(given.jobs ?? availableParallelism(), seeds);
  const runners = count > 1 ? await startProcesses(count) : undefined;
  const batch = await runMany(all, {
    ...(runners === undefined ? {} : { runners }),
    twinEvery: given.twin ? 1 : (preset?.twinEvery ?? 0),
    ran: (result, done) => {
      if (!result.ok) for (const line of brokenLines(result)) output.err(`${line}\n`);
      else if (!given.json && done % 10 === 0) output.err(`${done} of ${seeds} seeds\n`);
    },
  }).finally(() => runners?.close());
  const missing = preset?.coverageMustBeFull === true ? neverHit(batch.coverage) : [];
  const ok = batch.failed.length === 0 && missing.length === 0;
  output.out(given.json ? `${JSON.stringify({ ok, ...batchJson(batch, given.seed) })}\n` : batchText(batch));
  if (given.coverage && !given.json) output.out(`${coverageText(batch.coverage)}\n`);
  for (const { side, state, event } of missing) output.err(`never hit: ${side} ${state} ${event}\n`);
  return ok ? 0 : 1;
}

function batchJson(batch: Batch, first: number): object {
  return {
    first_seed: first,
    seeds: batch.seeds,
    twins: batch.twins,
    events: batch.events,
    device_years: Number(batch.deviceYears.toFixed(3)),
    trace_hashes: batch.traceHashes,
    faults: batch.faults,
    coverage: batch.coverage,
    never_hit: neverHit(batch.coverage).map(({ side, state, event }) => `${side} ${state} ${event}`),
    failed: batch.failed.map(swarmJson),
  };
}

function batchText(batch: Batch): string {
  const { seeds, failed, events, deviceYears, twins } = batch;
  const verdict = failed.length === 0 ? 'all hold' : `${failed.length} BROKEN`;
  return `${seeds} seeds (${twins} of them twice), ${events} events, ${deviceYears.toFixed(1)} device-years: ${verdict}.\n`;
}

function brokenLines(result: SwarmResult): string[] {
  const lines = result.broken.map(({ invariant, device, what }) => {
    const whose = device < 0 ? '' : ` device ${device}:`;
    return `BROKEN ${invariant} (${INVARIANTS[invariant]}):${whose} ${what}`;
  });
  if (result.missed !== null) lines.push(`NOT AS EXPECTED: ${result.missed}`);
  // The last line is the replay, and it alone begins so.
  return [...lines, `replay: ${result.replay}`];
}

function resultText(result: SwarmResult): string {
  const { options, events, deviceYears, virtualDays, traceHash, readings, filesRead, campaigns } = result;
  const faults = Object.entries(result.faults).map(([name, count]) => `${name} ${count}`);
  return [
    `seed ${options.seed}: ${options.devices} devices, ${virtualDays.toFixed(1)} days (${deviceYears.toFixed(2)} device-years), ${events} events, ${campaigns} campaigns completed`,
    `readings: ${readings.kept} kept, ${readings.delivered} delivered, ${readings.dropped} dropped with a reason; ${filesRead} files read by whom they are for`,
    `faults: ${faults.length === 0 ? 'none' : faults.join(', ')}`,
    `trace: ${traceHash}`,
    ...(result.ok ? ['All invariants hold.'] : brokenLines(result)),
    '',
  ].join('\n');
}
