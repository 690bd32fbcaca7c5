import type { Finding, LiveResult } from './result.ts';
import type { Progress } from './run.ts';

const BAR_CHARS_MAX = 30;

/** One line that is drawn over and over on a terminal. */
export function progressLine({ phase, share, seconds, numbers, campaign }: Progress, columns: number): string {
  const percent = share === null ? '' : ` ${Math.min(100, Math.floor(share * 100))} %`;
  const { devices, requests, uploads, in_flight: flying, broken } = numbers;
  const rest = `${devices} devices, ${requests} requests, ${uploads} uploads, ${flying} in flight, campaign ${campaign}`;
  const found = broken === 0 ? '' : `, ${broken} BROKEN`;
  return `${Math.floor(seconds)} s ${phase}${percent}: ${rest}${found}`.slice(0, Math.max(1, columns - 1));
}

/** The run for people: figures, histogram, findings, verdict last. */
export function resultText(result: LiveResult): string {
  const { readings, uploads, faults, removed, findings } = result;
  const struck = Object.entries(faults).map(([name, count]) => `${name} ${count}`);
  const broken = findings.flatMap(brokenLines);
  if (result.missed !== null) broken.push(`NOT AS EXPECTED: ${result.missed}`);
  const lines = [
    `${result.scenario}: ${result.devices} devices, ${result.seconds.toFixed(0)} s, the scenario ${result.speed.toFixed(0)} times as fast as it is told, run ${result.run}`,
    `requests: ${result.requests} (${result.requests_per_second.toFixed(1)} a second), uploads ${uploads.accepted}, read back ${uploads.read_back}, campaigns completed ${result.campaigns_completed}`,
    `readings: ${readings.kept} kept, ${readings.delivered} delivered, ${readings.dropped} dropped with a reason`,
    `faults: ${struck.length === 0 ? 'none' : struck.join(', ')}`,
    `statuses: ${Object.entries(result.statuses)
      .map(([name, count]) => `${name}: ${count}`)
      .join(', ')}`,
    ...latencyLines(result),
    `removed: ${removed.devices} devices, ${removed.campaigns} campaigns${removed.left.length === 0 ? '' : `; LEFT: ${removed.left.join('; ')}`}`,
    ...findings.flatMap(({ name, skipped }) => (skipped === null ? [] : [`not looked at: ${name}: ${skipped}`])),
    ...broken,
    result.interrupted ? 'Interrupted.' : result.ok ? 'All invariants hold.' : `${broken.length} BROKEN.`,
    '',
  ];
  return lines.join('\n');
}

export function brokenLines({ name, sentence, broken }: Finding): string[] {
  return broken.map(({ device, at, what }) => {
    const whose = device < 0 ? '' : ` device ${device}:`;
    return `BROKEN ${name} (${sentence}):${whose} ${what}${at === null ? '' : ` [${at}]`}`;
  });
}

function latencyLines({ latencies }: LiveResult): string[] {
  const lines = ['latency in ms         count    p50    p90    p99    max'];
  for (const { verb, count, p50_ms: p50, p90_ms: p90, p99_ms: p99, max_ms: max } of latencies) {
    const figures = [p50, p90, p99, max].map((ms) => ms.toFixed(ms < 100 ? 1 : 0).padStart(6)).join(' ');
    lines.push(`  ${verb.padEnd(14)} ${String(count).padStart(9)} ${figures}`);
  }
  const uploads = latencies.find(({ verb }) => verb === 'upload');
  const most = Math.max(1, ...(uploads?.histogram ?? []).map(({ count }) => count));
  for (const { upToMs, count } of uploads?.histogram ?? []) {
    const bar = '#'.repeat(Math.ceil((count / most) * BAR_CHARS_MAX));
    lines.push(`  ≤ ${upToMs.toFixed(upToMs < 10 ? 2 : 0).padStart(7)} ms ${String(count).padStart(8)} ${bar}`);
  }
  return lines;
}
