import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { SCENARIOS, scenarioNamed } from '../scenarios/index.ts';
import { faultList } from '../swarm/fault-list.ts';
import { FAULTS, type FaultName } from '../swarm/faults.ts';
import { clean } from './clean.ts';
import { junitXml } from './junit.ts';
import { NotServed } from './management.ts';
import {
  CONNECTIONS_MAX,
  checkDuration,
  DEVICES_MAX,
  faultsOf,
  LIVE_FAULTS,
  type LiveOptions,
  UPLOADS_A_MINUTE_MAX,
  UPLOADS_A_MINUTE_USUAL,
  usualSeconds,
} from './options.ts';
import type { LiveResult } from './result.ts';
import { type Progress, runLive } from './run.ts';
import { credentialsOf, type GivenSettings, serverOf } from './settings.ts';
import { progressLine, resultText } from './text.ts';

interface Output {
  out(text: string): void;
  err(text: string): void;
  /** `err` is a terminal. */
  tty?: boolean;
}

interface Given extends GivenSettings {
  scenario: string;
  devices: number;
  rate?: number;
  duration?: number;
  only?: FaultName[];
  without?: FaultName[];
  seed?: number;
  connections: number;
  readBack: number;
  junit?: string;
  report?: string;
  clean?: 'silent' | 'all';
  json: boolean;
}

/** Exit codes beside 0, 1 and 2. */
const NOT_SERVED = 3;
const INTERRUPTED = 130;
/** Where nobody sees a line drawn over and over, one is printed so often. */
const LINE_EVERY_SECONDS = 10;

const HELP = `
The scenarios of \`swarm\` on real connections: a fleet of simulated devices in this process, with the real device core, against
the server at --url. Its devices, tagged fuselink-sim, are enrolled by the run and removed at its end, also on Ctrl-C; no other
device of the account is touched, and a campaign is over them alone. What a crashed run left goes with --clean.

The scenario's days pass in --duration. The server's clock, windows and sweeps are real: devices keep their real pace of
retries, and send --rate uploads a second together (${UPLOADS_A_MINUTE_MAX} a minute each at most).

Secrets come from files or the environment, never from the command line: FUSELINK_MANAGEMENT_KEY (or _FILE), FUSELINK_TOTP
(or _FILE), FUSELINK_URL, FUSELINK_EMAIL, FUSELINK_CA.

Faults that a client can cause (--only, --without; usual are the scenario's own):
${LIVE_FAULTS.map((name) => `  ${name.padEnd(22)} ${FAULTS[name]}`).join('\n')}`;

function number(min: number, max: number, whole: boolean) {
  return (text: string) => {
    const value = Number(text);
    if (/^\d+(\.\d+)?$/.test(text) && value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(`expected a ${whole ? 'whole ' : ''}number from ${min} to ${max}, got ${text}.`);
  };
}

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

function seconds(text: string): number {
  const found = /^(\d{1,7})([smhd]?)$/.exec(text);
  if (found !== null) return Number(found[1]) * (UNIT_SECONDS[found[2] || 's'] ?? 1);
  throw new InvalidArgumentError(`expected seconds, or a number with a unit (90, 15m, 12h, 80d), got ${text}.`);
}

/** Adds `fuselink-sim live`. `exit` is called with 1 where something is broken, 3 where the server does not serve. */
export function addLiveVerb(program: Command, output: Output, exit: (code: number) => void): void {
  program
    .command('live')
    .description('run a fleet over real connections against a server: for load, and for your CI')
    .option('--url <url>', 'the server (or FUSELINK_URL)')
    .option('--management-key-file <file>', 'file with an API key of the account (or FUSELINK_MANAGEMENT_KEY)')
    .option('--email <address>', 'signs in with that key and an authenticator, where keys alone may not manage')
    .option('--totp-file <file>', 'file with the otpauth URI or secret of that authenticator (or FUSELINK_TOTP)')
    .option('--ca <file>', 'PEM certificates to trust beside those of Node (or FUSELINK_CA)')
    .addOption(
      new Option('--scenario <name>', 'the story')
        .choices(SCENARIOS.map(({ name }) => name))
        .default('rotation-under-load'),
    )
    .option('--devices <n>', 'devices in the fleet', number(1, DEVICES_MAX, true), 20)
    .option('--rate <n>', 'uploads a second of the whole fleet', number(0.01, 100_000, false))
    .option('--duration <time>', 'real time that the scenario’s days are told in', seconds)
    .option('--only <faults>', 'these kinds of fault alone, or none', faultList)
    .option('--without <faults>', 'the usual kinds of fault but these', faultList)
    .option(
      '--seed <n>',
      'what goes wrong, and when (as far as a real server lets it repeat)',
      number(0, 2 ** 52, true),
    )
    .option('--connections <n>', 'open connections at most', number(1, 65_000, true), CONNECTIONS_MAX)
    .option('--read-back <percent>', 'share of uploads that are read back at the end', number(0, 100, false), 5)
    .option('--junit <file>', 'write JUnit XML, a test case for each thing that must hold')
    .option('--report <file>', 'write a page of its own: campaign, fleet, faults, the story of every device')
    .option('--json', 'print progress and result as JSON, one object a line', false)
    .addOption(
      new Option('--clean [which]', 'remove what crashed runs left: of runs silent for ten minutes, or of all')
        .choices(['silent', 'all'])
        .preset('silent'),
    )
    .addHelpText('after', HELP)
    .action(async (given: Given) => {
      exit(await served(output, () => (given.clean === undefined ? run(given, output) : tidy(given, output))));
    });
}

/** Exit codes of what is thrown. What is none of these is a bug, and is not caught. */
async function served(output: Output, act: () => Promise<number>): Promise<number> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof RangeError) && !(error instanceof NotServed)) throw error;
    output.err(`error: ${error.message}\n`);
    return error instanceof NotServed ? NOT_SERVED : 2;
  }
}

function optionsOf(given: Given): LiveOptions {
  const scenario = scenarioNamed(given.scenario);
  // Also where a duration is given: it refuses what no client can do.
  const usual = usualSeconds(scenario);
  const duration = given.duration ?? usual;
  checkDuration(scenario, duration);
  const rate = given.rate ?? (given.devices * UPLOADS_A_MINUTE_USUAL) / 60;
  const most = (given.devices * UPLOADS_A_MINUTE_MAX) / 60;
  if (rate > most) {
    throw new RangeError(
      `--rate: ${given.devices} devices are expected to send at most ${most.toFixed(1)} uploads a second (${UPLOADS_A_MINUTE_MAX} a minute each), got ${rate}`,
    );
  }
  const asked = given.only ?? faultsOf(given.scenario, undefined);
  return {
    ...serverOf(given, process.env),
    credentials: credentialsOf(given, process.env),
    scenario,
    devices: given.devices,
    rate,
    durationMs: duration * 1000,
    faults: faultsOf(given.scenario, asked).filter((name) => given.without?.includes(name) !== true),
    seed: given.seed ?? randomInt(2 ** 31),
    connectionsMax: given.connections,
    readBack: given.readBack / 100,
    keepTrace: given.report !== undefined,
  };
}

async function run(given: Given, output: Output): Promise<number> {
  const options = optionsOf(given);
  const stop = new AbortController();
  // Once: the run ends in order. Twice: at once, and what it made is for --clean.
  const interrupted = () => {
    output.err('\ninterrupted: removing what the run made (again to leave it)\n');
    stop.abort();
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  const show = progressOn(given.json, output);
  try {
    const { result, page } = await runLive(options, { progress: show.progress, signal: stop.signal });
    show.end();
    if (given.junit !== undefined) await writeFile(given.junit, junitXml(result));
    if (given.report !== undefined) await writeFile(given.report, page());
    output.out(given.json ? `${JSON.stringify({ event: 'result', ...result })}\n` : resultText(result));
    for (const left of result.removed.left) output.err(`left behind: ${left}\n`);
    return exitOf(result);
  } finally {
    show.end();
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
}

function exitOf(result: LiveResult): number {
  const broken = result.missed !== null || result.findings.some((one) => one.broken.length > 0);
  if (broken) return 1;
  if (result.interrupted) return INTERRUPTED;
  // A run that could not tidy up after itself did not end well: the server stopped serving it.
  return result.removed.left.length > 0 ? NOT_SERVED : 0;
}

async function tidy(given: Given, output: Output): Promise<number> {
  const removed = await clean(
    { ...serverOf(given, process.env), credentials: credentialsOf(given, process.env) },
    given.clean ?? 'silent',
  );
  const text = `removed ${removed.devices} devices and ended ${removed.campaigns} campaigns\n`;
  output.out(given.json ? `${JSON.stringify({ event: 'cleaned', ...removed })}\n` : text);
  for (const left of removed.left) output.err(`left: ${left}\n`);
  return removed.left.length === 0 ? 0 : NOT_SERVED;
}

function progressOn(json: boolean, output: Output): { progress(progress: Progress): void; end(): void } {
  const columns = process.stderr.columns ?? 120;
  let drawn = false;
  let printed = '';
  return {
    progress(progress) {
      if (json) {
        output.out(`${JSON.stringify({ event: 'progress', ...progress })}\n`);
        return;
      }
      if (output.tty === true) {
        drawn = true;
        output.err(`\r${progressLine(progress, columns)}\u001b[K`);
        return;
      }
      const turn = `${progress.phase} ${Math.floor(progress.seconds / LINE_EVERY_SECONDS)}`;
      if (turn === printed) return;
      printed = turn;
      output.err(`${progressLine(progress, 500)}\n`);
    },
    end() {
      if (drawn) output.err('\r\u001b[K');
      drawn = false;
    },
  };
}
