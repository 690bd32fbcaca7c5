import type { Operator } from '../swarm/operator.ts';
import { DAY_MS, EPOCH_MS, swarmOptions } from '../swarm/options.ts';
import { reportPage } from '../swarm/report/page.ts';
import { daysOf, type LiveOptions } from './options.ts';
import type { LiveResult } from './result.ts';
import type { LiveWorld } from './world.ts';

const YEAR_MS = 365 * DAY_MS;

/** The run as the page that `swarm` draws, on the scenario's time. */
export function livePage(what: {
  options: LiveOptions;
  world: LiveWorld;
  operator: Operator | null;
  result: LiveResult;
}): string {
  const { options, world, operator, result } = what;
  const { seed, devices, faults, scenario } = options;
  const virtualMs = world.clock.scenarioMs - EPOCH_MS;
  const { recorder, invariants } = world;
  return reportPage({
    options: swarmOptions(
      { seed, devices, faults, days: daysOf(scenario), scenario: scenario.name, keepTrace: true },
      scenario.options,
    ),
    ok: result.ok,
    traceHash: 'a real server’s',
    events: result.requests,
    deviceYears: (devices * virtualMs) / YEAR_MS,
    virtualDays: virtualMs / DAY_MS,
    checks: invariants.checks,
    broken: invariants.found,
    faults: recorder.faults,
    coverage: { device: recorder.device, server: recorder.server, campaign: recorder.campaign },
    campaigns: operator?.completed ?? 0,
    readings: result.readings,
    samples: recorder.samples,
    entries: recorder.entries,
    missed: result.missed,
    replay: `fuselink-sim live --scenario ${scenario.name} --devices ${devices} --rate ${options.rate} --duration ${options.durationMs / 1000} --seed ${seed}`,
  });
}
