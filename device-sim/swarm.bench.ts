import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { bundleSimulator } from './build.ts';
import { type Happening, HappeningHeap } from './kernel/heap.ts';
import { checkModel } from './model/check.ts';
import { scenarioNamed } from './scenarios/index.ts';
import { runMany } from './swarm/many.ts';
import { DAY_MS, HOUR_MS, type SwarmOptions, swarmOptions } from './swarm/options.ts';
import { PRESETS } from './swarm/presets.ts';
import { RUNNER_FLAGS, startProcesses } from './swarm/processes.ts';
import { runSwarm, type SwarmResult } from './swarm/run.ts';

/**
 * `npx tsx device-sim/swarm.bench.ts [name…]`: how fast the simulator is, on one core, from a bundle. Seconds are CPU
 * time (user and system), with what the machine does besides left out, unless the line says otherwise; each run is checked to hold.
 */

const ONE_UPLOAD_A_DAY: Partial<SwarmOptions> = {
  readingEveryMs: DAY_MS,
  batchCount: 1,
  behindBrokerEvery: 0,
};
const RESIDENT = 4_000;
const CORES = 2;
const GB = 1e9;

const FIGURES: Record<string, () => Promise<string>> = {
  heap: async () => `a bare heap: ${perSecond(2_000_000, heapAlone(2_000_000))} events a second`,
  storm: async () => {
    const options = swarmOptions({ seed: 7, devices: 32, days: 20 });
    const { result, seconds } = await timed(() => runSwarm(options));
    return `events a second, all faults: ${ran(result, seconds)}`;
  },
  quiet: async () => {
    const options = swarmOptions({
      seed: 7,
      devices: 200,
      days: 100,
      faults: [],
      campaignEveryDays: 0,
      ...ONE_UPLOAD_A_DAY,
    });
    const { result, seconds } = await timed(() => runSwarm(options));
    const years = ((result.deviceYears / seconds) * 60).toFixed(0);
    return `device-years a minute, one upload a day: ${years}; ${ran(result, seconds)}`;
  },
  season: async () => {
    const { name, options: ofScenario } = scenarioNamed('ninety-day-campaign');
    const options = swarmOptions({ seed: 7, devices: 1_000, scenario: name }, ofScenario);
    const { result, seconds } = await timed(() => runSwarm(options));
    return `1,000 devices through a 90-day campaign: ${seconds.toFixed(0)} s; ${ran(result, seconds)}`;
  },
  resident: async () => {
    const options = swarmOptions({ seed: 7, devices: RESIDENT, days: 3, faults: [], ...ONE_UPLOAD_A_DAY });
    const before = liveBytes();
    let most = 0;
    // Asked for between two slices of the run, with the whole fleet switched on and its readings sent.
    await runSwarm(options, {
      progress: () => {
        most = Math.max(most, liveBytes());
      },
    });
    const each = (most - before) / RESIDENT;
    return `resident devices per GB: ${Math.floor(GB / each).toLocaleString('en')} (${(each / 1e3).toFixed(1)} kB each, with all the server keeps of them)`;
  },
  ci: async () => {
    const { options, seeds, twinEvery } = PRESETS['ci'] ?? { options: {}, seeds: 0, twinEvery: 0 };
    const all = Array.from({ length: seeds }, (_, at) => swarmOptions({ ...options, seed: 1 + at }));
    const runners = await startProcesses(CORES, cached('fuselink-sim'));
    const startMs = performance.now();
    const { failed, events } = await runMany(all, { twinEvery, runners }).finally(() => runners.close());
    const seconds = (performance.now() - startMs) / 1e3;
    const holds = failed.length === 0 ? 'all hold' : `${failed.length} BROKEN`;
    return `${seeds} seeds of the preset ci on ${CORES} cores: ${seconds.toFixed(0)} s by the clock, ${events} events, ${holds}`;
  },
  model: async () => {
    const { result, seconds } = await timed(async () => checkModel());
    return `model: ${seconds.toFixed(2)} s, ${result.states} states, ${result.edges} edges, safe: ${result.safe}`;
  },
};

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; seconds: number }> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, seconds: (user + system) / 1e6 };
}

/** Bytes that something still holds, on the heap of JavaScript and beside it. */
function liveBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function ran(result: SwarmResult, seconds: number): string {
  const { events, broken, missed, ok } = result;
  const holds = ok ? 'holds' : `BROKEN ${JSON.stringify(broken)} ${missed}`;
  return `${perSecond(events, seconds)} events a second (${events} in ${seconds.toFixed(1)} s CPU, ${holds})`;
}

function perSecond(count: number, seconds: number): string {
  return Math.round(count / seconds).toLocaleString('en');
}

/** The event loop with nothing behind it: so many pushes and pops on a heap as full as a fleet's. */
function heapAlone(count: number): number {
  const heap = new HappeningHeap();
  const run = () => {};
  let order = 0;
  const after = (atMs: number): Happening => ({ atMs: atMs + ((order * 7919) % HOUR_MS), order: order++, run });
  for (let i = 0; i < 1_000; i++) heap.push(after(0));
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) heap.push(after(heap.pop()?.atMs ?? 0));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

async function main(names: readonly string[]): Promise<void> {
  for (const [name, figure] of Object.entries(FIGURES)) {
    if (names.length === 0 || names.includes(name)) console.log(await figure());
  }
}

const here = fileURLToPath(import.meta.url);
if (here.endsWith('.ts')) {
  await bundleSimulator(here, cached('swarm.bench'));
  await bundleSimulator(fileURLToPath(new URL('./fuselink-sim.ts', import.meta.url)), cached('fuselink-sim'));
  const flags = ['--expose-gc', ...RUNNER_FLAGS];
  const { status } = spawnSync(process.execPath, [...flags, cached('swarm.bench'), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
} else await main(process.argv.slice(2));

/** Where a bundle is kept, as seen from the source and from the bundle itself. */
function cached(name: string): string {
  const folder = import.meta.url.endsWith('.ts') ? '../node_modules/.cache/fuselink-sim/' : './';
  return fileURLToPath(new URL(`${folder}${name}.mjs`, import.meta.url));
}
