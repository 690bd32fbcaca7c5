import { addCoverage } from './coverage.ts';
import type { SwarmOptions } from './options.ts';
import { type Coverage, runSwarm, type SwarmResult } from './run.ts';

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
  /** After each seed. */
  ran?(result: SwarmResult, done: number): void;
  twinEvery?: number;
}

/** One run after the other; a run that is broken does not end the others. */
export async function runMany(all: readonly SwarmOptions[], hooks: BatchHooks = {}): Promise<Batch> {
  const batch: Batch = {
    seeds: all.length,
    failed: [],
    coverage: { device: {}, server: {}, campaign: {} },
    events: 0,
    deviceYears: 0,
    twins: 0,
    faults: {},
    traceHashes: [],
  };
  for (const [index, options] of all.entries()) {
    const twin = (hooks.twinEvery ?? 0) > 0 && index % (hooks.twinEvery ?? 1) === 0;
    const result = twin ? await runTwins(options) : await runSwarm(options);
    if (twin) batch.twins++;
    if (!result.ok) batch.failed.push(result);
    addCoverage(batch.coverage, result.coverage);
    batch.events += result.events;
    batch.deviceYears += result.deviceYears;
    batch.traceHashes.push(result.traceHash);
    for (const [name, count] of Object.entries(result.faults)) {
      batch.faults[name] = (batch.faults[name] ?? 0) + count;
    }
    hooks.ran?.(result, index + 1);
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
  result.broken.push({ invariant: 'I10', device: -1, atMs: 0, what });
  result.ok = false;
  return result;
}
