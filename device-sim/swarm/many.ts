import { addCoverage } from './coverage.ts';
import type { SwarmOptions } from './options.ts';
import { type Coverage, type RunHooks, runSwarm, type SwarmResult } from './run.ts';

export interface Batch {
  seeds: number;
  failed: SwarmResult[];
  coverage: Coverage;
  events: number;
  deviceYears: number;
  /** Runs that were repeated with other wall clocks. */
  twins: number;
  faults: Record<string, number>;
  /** Of all traces, in the order of their seeds. */
  traceHashes: string[];
}

export interface BatchHooks {
  /** After each seed, in the order in which they end. */
  ran?(result: SwarmResult, done: number): void;
  twinEvery?: number;
  /** Where runs are done, and how many at a time; here, one after the other, where it is not said. */
  runners?: { count: number; run(order: RunOrder): Promise<SwarmResult> };
}

/** One run that is to be done. */
export interface RunOrder {
  options: SwarmOptions;
  /** Twice, with other wall clocks (I10). */
  twin?: boolean;
  /** Ends with the first break: where only one is looked for. */
  stopWhenBroken?: RunHooks['stopWhenBroken'];
}

/** Every run of a batch; one that is broken does not end the others. The same batch, however many run at a time. */
export async function runMany(all: readonly SwarmOptions[], hooks: BatchHooks = {}): Promise<Batch> {
  const { twinEvery = 0, runners = { count: 1, run: runHere } } = hooks;
  const isTwin = (index: number) => twinEvery > 0 && index % twinEvery === 0;
  const results: SwarmResult[] = [];
  let next = 0;
  let done = 0;
  const runNext = async (): Promise<void> => {
    for (let index = next++; index < all.length; index = next++) {
      const result = await runners.run({ options: all[index] as SwarmOptions, twin: isTwin(index) });
      results[index] = result;
      hooks.ran?.(result, ++done);
    }
  };
  await Promise.all(Array.from({ length: runners.count }, runNext));
  return summedUp(results, all.filter((_, index) => isTwin(index)).length);
}

/** In this process, in which there is one simulation at a time. */
export function runHere({ options, twin = false, stopWhenBroken }: RunOrder): Promise<SwarmResult> {
  return twin ? runTwins(options) : runSwarm(options, stopWhenBroken === undefined ? {} : { stopWhenBroken });
}

function summedUp(results: readonly SwarmResult[], twins: number): Batch {
  const batch: Batch = {
    seeds: results.length,
    failed: results.filter(({ ok }) => !ok),
    coverage: { device: {}, server: {}, campaign: {} },
    events: 0,
    deviceYears: 0,
    twins,
    faults: {},
    traceHashes: results.map(({ traceHash }) => traceHash),
  };
  for (const result of results) {
    addCoverage(batch.coverage, result.coverage);
    batch.events += result.events;
    batch.deviceYears += result.deviceYears;
    for (const [name, count] of Object.entries(result.faults)) {
      batch.faults[name] = (batch.faults[name] ?? 0) + count;
    }
  }
  return batch;
}

/**
 * I10: the same run twice, once with every wall clock right. What a device does with a wrong one must be the same to the
 * last message.
 */
export async function runTwins(options: SwarmOptions): Promise<SwarmResult> {
  const result = await runSwarm(options);
  const twin = await runSwarm(options, { rightClocks: true });
  result.checks.I10++;
  if (twin.traceHash === result.traceHash) return result;
  const what = `with right clocks the same run goes otherwise (${twin.traceHash}, not ${result.traceHash})`;
  result.replay += ' --twin';
  result.broken.push({ invariant: 'I10', device: -1, atMs: 0, what });
  result.ok = false;
  return result;
}
