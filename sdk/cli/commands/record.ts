import { createInterface } from 'node:readline';
import type { ReadingsOptions, RecordResult } from '#sdk/node';
import { createClient, FuselinkError } from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, UsageError } from '../exit-codes.ts';
import { credentialsFor } from '../key.ts';
import type { Parsed } from '../options.ts';
import {
  CONNECTION_OPTIONS,
  connectionOf,
  parseDuration,
  SERVER_OPTIONS,
  serverUrl,
  textOption,
  waitMs,
} from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { plain } from '../terminal.ts';

/** Lines on their way to the disk at once: enough to share its syncs, few enough to hold in memory. */
const IN_FLIGHT_MAX = 256;

function whole(parsed: Parsed, name: string): number | undefined {
  const text = textOption(parsed, name);
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name} is expected as a whole number, got "${text}"`);
  return Number(text);
}

function readingsOf(parsed: Parsed): ReadingsOptions {
  const format = textOption(parsed, 'format') ?? 'ndjson';
  if (format !== 'ndjson' && format !== 'csv')
    throw new UsageError(`--format is expected as ndjson or csv, got "${format}"`);
  const age = textOption(parsed, 'age');
  return {
    format,
    csvHeader: textOption(parsed, 'header'),
    gzip: parsed.values['no-gzip'] !== true,
    folder: textOption(parsed, 'spool'),
    countMax: whole(parsed, 'count'),
    ageMsMax: age === undefined ? undefined : Math.max(1, parseDuration(age, '--age') * 1000),
    recipient: textOption(parsed, 'recipient'),
    ttlSeconds:
      textOption(parsed, 'ttl') === undefined ? undefined : parseDuration(textOption(parsed, 'ttl') ?? '', '--ttl'),
  };
}

interface Tally {
  kept: number;
  refused: number;
}

/** Lines into the spool, a limited number at once, until the input ends or somebody stops us. */
async function recordLines(
  terminal: Terminal,
  record: (line: string) => Promise<RecordResult>,
  complain: (text: string) => void,
): Promise<Tally> {
  const tally: Tally = { kept: 0, refused: 0 };
  const lines = createInterface({ input: terminal.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  const stop = () => lines.close();
  let failure: Error | null = null;
  terminal.signal.addEventListener('abort', stop, { once: true });
  const inFlight = new Set<Promise<void>>();
  for await (const line of lines) {
    if (line === '') continue;
    const one: Promise<void> = record(line)
      .then(
        (outcome) => {
          if (outcome.kept) tally.kept += 1;
          else tally.refused += 1;
        },
        (error: Error) => {
          tally.refused += 1;
          // One line's fault is told and the next is taken; without a spool there is nothing to take it.
          if ((error as FuselinkError).code === 'reading_invalid') complain(error.message);
          else {
            failure ??= error;
            stop();
          }
        },
      )
      .finally(() => inFlight.delete(one));
    inFlight.add(one);
    if (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight);
    if (terminal.signal.aborted || failure !== null) break;
  }
  terminal.signal.removeEventListener('abort', stop);
  await Promise.all(inFlight);
  if (failure !== null) throw failure;
  return tally;
}

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  if (parsed.words.length > 0) throw new UsageError('record reads standard input; no words are expected');
  const lane = whole(parsed, 'lane') ?? 1;
  const json = parsed.values['json'] === true;
  const complain = (text: string) => void terminal.stderr.write(`${plain(text)}\n`);
  const client = createClient({
    url: serverUrl(parsed, terminal),
    ...credentialsFor(parsed, terminal),
    device: textOption(parsed, 'device'),
    readings: readingsOf(parsed),
    ...connectionOf(parsed, terminal),
  });
  client.on('batch', ({ id, url, filename, sizeBytes, readings }) => {
    const line = json ? JSON.stringify({ id, url, filename, size: sizeBytes, readings }) : (url ?? id);
    terminal.stdout.write(`${line}\n`);
  });
  client.on('dropped', ({ reason, readings }) => complain(`${readings} readings were not kept: ${reason}`));
  client.on('warning', ({ detail }) => complain(`warning: ${detail}`));
  client.on('retrying', ({ detail, waitMs: ms }) =>
    complain(`${detail}; trying again in ${Math.max(1, Math.round(ms / 1000))} s`),
  );
  client.on('credentialRefused', ({ code }) => complain(`the server refuses the key [${code}]; readings are kept`));
  try {
    const tally = await recordLines(terminal, (line) => client.record(line, { lane }), complain);
    if (terminal.signal.aborted) return EXIT.interrupted.code;
    const wait = waitMs(parsed);
    const patience = wait === null ? null : AbortSignal.timeout(wait);
    const stop = new AbortController();
    for (const signal of [terminal.signal, ...(patience === null ? [] : [patience])]) {
      signal.addEventListener('abort', () => stop.abort(), { once: true });
    }
    try {
      await client.flush({ signal: stop.signal });
    } catch (error) {
      if (!(error instanceof FuselinkError) || error.code !== 'aborted') throw error;
      if (terminal.signal.aborted) return EXIT.interrupted.code;
      complain(`${tally.kept} readings are kept on disk; the next run sends what is left`);
      return EXIT.notNow.code;
    }
    return tally.refused > 0 ? EXIT.failed.code : EXIT.ok.code;
  } finally {
    await client.close();
  }
}

export const record: Command = {
  name: 'record',
  words: '',
  summary: 'Keep each line of standard input on disk and send them in batches.',
  options: {
    ...SERVER_OPTIONS,
    format: { type: 'string', value: 'FORMAT', help: 'ndjson (default) or csv: what the lines are' },
    header: { type: 'string', value: 'LINE', help: 'csv: first line of each file' },
    lane: { type: 'string', value: 'N', help: '1 (default), or 0: at once, and never dropped' },
    count: { type: 'string', value: 'N', help: 'send at this many lines (default 1000)' },
    age: { type: 'string', value: 'DURATION', help: 'or at this age (default 60s)' },
    'no-gzip': { type: 'boolean', help: 'send the files as they are' },
    device: { type: 'string', value: 'NAME', help: 'name in manifests and file names (default: the host’s)' },
    spool: { type: 'string', value: 'DIR', help: 'where lines are kept (default: in FUSELINK_STATE)' },
    recipient: { type: 'string', value: 'WHO', help: 'whom the files are for' },
    ttl: { type: 'string', value: 'DURATION', help: 'how long the links live (default 7d)' },
    ...CONNECTION_OPTIONS,
  },
  details: [
    'Prints a link for each file. At the end of the input it waits until everything is on the server, at most --wait;\nwhat is left by then (exit 5), or when it is stopped, is on disk and sent by the next run.',
  ],
  run,
};
