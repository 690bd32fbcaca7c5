import type { Operator } from '../swarm/operator.ts';
import { DAY_MS, EPOCH_MS, swarmOptions } from '../swarm/options.ts';
import { escaped, reportPage } from '../swarm/report/page.ts';
import { LIVE_CHECK_NAMES } from './checks.ts';
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
  const sections = checksSection(result) + latencySection(result);
  const run = {
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
    filesRead: world.oracle.reads.burned,
    samples: recorder.samples,
    entries: recorder.entries,
    missed: result.missed,
    replay: `fuselink-sim live --scenario ${scenario.name} --devices ${devices} --rate ${options.rate} --duration ${options.durationMs / 1000} --seed ${seed}`,
  };
  return reportPage(run, { what: 'live', sections });
}

function checksSection({ findings }: LiveResult): string {
  const names: string[] = LIVE_CHECK_NAMES;
  const rows = findings
    .filter(({ name }) => names.includes(name))
    .map(({ name, sentence, checks, skipped, broken }) => {
      const found = broken.map(({ device, what }) => `${device < 0 ? '' : `device ${device}: `}${what}`).join('; ');
      const verdict = broken.length > 0 ? `broken: ${found}` : (skipped ?? 'holds');
      const mark = broken.length > 0 ? 'bad' : 'good';
      return `<tr class="${mark}"><th>${name}</th><td>${escaped(sentence)}</td><td class="number">${checks}</td><td>${escaped(verdict)}</td></tr>`;
    });
  return `<section><h2>The server</h2><table><tbody>${rows.join('')}</tbody></table></section>`;
}

function latencySection({ latencies, requests, requests_per_second: rate }: LiveResult): string {
  const heads = ['', 'answers', 'p50', 'p90', 'p99', 'max'].map((head) => `<th class="number">${head}</th>`).join('');
  const rows = latencies.map(({ verb, count, p50_ms: p50, p90_ms: p90, p99_ms: p99, max_ms: max }) => {
    const cells = [count, p50, p90, p99, max].map((value) => `<td class="number">${value.toLocaleString('en')}</td>`);
    return `<tr><th>${verb}</th>${cells.join('')}</tr>`;
  });
  const note = `${requests.toLocaleString('en')} requests, ${rate.toLocaleString('en')} a second; milliseconds from the moment a device wanted to send.`;
  return `<section><h2>Latency</h2><p class="note">${note}</p><table><thead><tr>${heads}</tr></thead><tbody>${rows.join('')}</tbody></table></section>`;
}
