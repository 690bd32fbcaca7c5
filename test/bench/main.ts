import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { agent } from './http-load.ts';
import { cpuSeconds, median, peakRssMib } from './process-stats.ts';
import { SCENARIOS, type Scenario, type Timed } from './scenarios.ts';
import { type BenchServer, startBaseline, startFuselink } from './servers.ts';

const HELP = `npm run bench -- [--only TEXT] [--json]

Measures Fuselink beside a bare node:http server that writes to the same disk, in alternating rounds of the same run.
Ratios count: machines are noisy. Each figure is the median of its rounds.

  --only TEXT   only scenarios whose name contains TEXT
  --json        one JSON object on standard output`;

interface Row {
  scenario: string;
  unit: string;
  baseline: number;
  fuselink: number;
  ratio: number;
  goal: number | null;
  cpu_seconds_per_gib: { baseline: number; fuselink: number } | null;
}

const { values } = parseArgs({
  options: { only: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
});
let next = 0;

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-bench-'));
  const baseline = await startBaseline(join(folder, 'baseline'));
  const fuselink = await startFuselink(join(folder, 'fuselink'), 600);
  try {
    const rows: Row[] = [];
    for (const scenario of SCENARIOS.filter(({ name }) => name.includes(values.only ?? ''))) {
      process.stderr.write(`${scenario.name} …\n`);
      rows.push(await measure(scenario, baseline, fuselink));
    }
    const rss = { baseline: Math.round(peakRssMib(baseline.pid)), fuselink: Math.round(peakRssMib(fuselink.pid)) };
    if (values.json) process.stdout.write(`${JSON.stringify({ node: process.version, rows, peak_rss_mib: rss })}\n`);
    else print(rows, rss);
  } finally {
    await baseline.stop();
    await fuselink.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(
  scenario: Scenario,
  baseline: BenchServer,
  fuselink: BenchServer & { keys: string[] },
): Promise<Row> {
  const rates = { baseline: [] as number[], fuselink: [] as number[] };
  const cpu = { baseline: [] as number[], fuselink: [] as number[] };
  const connections = agent();
  const key = () => fuselink.keys[next++ % fuselink.keys.length] ?? '';
  for (let round = 0; round < scenario.rounds; round++) {
    await timed(
      await scenario.baseline({ server: baseline, agent: connections }),
      baseline,
      rates.baseline,
      cpu.baseline,
    );
    await timed(
      await scenario.fuselink({ server: fuselink, agent: connections, key }),
      fuselink,
      rates.fuselink,
      cpu.fuselink,
    );
  }
  connections.destroy();
  const gib = scenario.unit === 'MB/s' ? (scenario.amount * 1e6) / 2 ** 30 : null;
  const [base, ours] = [median(rates.baseline), median(rates.fuselink)];
  return {
    scenario: scenario.name,
    unit: scenario.unit,
    baseline: base,
    fuselink: ours,
    ratio: ours / base,
    goal: scenario.goal,
    cpu_seconds_per_gib:
      gib === null ? null : { baseline: median(cpu.baseline) / gib, fuselink: median(cpu.fuselink) / gib },
  };

  async function timed(job: Timed, server: BenchServer, into: number[], cpuInto: number[]): Promise<void> {
    const cpuBefore = cpuSeconds(server.pid);
    const before = performance.now();
    await job();
    into.push(scenario.amount / ((performance.now() - before) / 1000));
    cpuInto.push(cpuSeconds(server.pid) - cpuBefore);
  }
}

function print(rows: readonly Row[], rss: { baseline: number; fuselink: number }): void {
  const cells = rows.map((row) => [
    row.scenario,
    `${row.baseline.toFixed(0)} ${row.unit}`,
    `${row.fuselink.toFixed(0)} ${row.unit}`,
    row.ratio.toFixed(2),
    row.goal === null ? '' : `≥ ${row.goal}${row.ratio >= row.goal ? ' ✓' : ' ✗'}`,
    row.cpu_seconds_per_gib === null
      ? ''
      : `${row.cpu_seconds_per_gib.baseline.toFixed(2)} / ${row.cpu_seconds_per_gib.fuselink.toFixed(2)}`,
  ]);
  const table = [['scenario', 'baseline', 'fuselink', 'ratio', 'goal', 'CPU s/GiB'], ...cells];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of table) process.stdout.write(`${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`);
  process.stdout.write(`peak RSS: baseline ${rss.baseline} MiB, fuselink ${rss.fuselink} MiB (goal ≤ 150)\n`);
}

if (values.help) process.stdout.write(`${HELP}\n`);
else await main();
