import { createInterface } from 'node:readline';
import type { RecordResult } from '#sdk/node';
import { createClient, FuselinkError } from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, UsageError } from '../exit-codes.ts';
import { isJustUp } from '../just-up.ts';
import { credentialsFor } from '../key.ts';
import type { Parsed } from '../options.ts';
import { CONNECTION_OPTIONS, connectionOf, SERVER_OPTIONS, serverUrl, textOption, waitMs } from '../options.ts';
import { laneOf, READINGS_OPTIONS, readingsOf } from '../readings-options.ts';
import type { Terminal } from '../terminal.ts';
import { plain } from '../terminal.ts';

/** Lines on their way to the disk at once: enough to share its syncs, few enough to hold in memory. */
const IN_FLIGHT_MAX = 256;
/** Their bytes, within what a lane takes before it refuses: who reads a pipe can wait instead. */
const IN_FLIGHT_BYTES_MAX = 524_288;
const TIDY_LINES = 256;

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
  let seen = 0;
  const inFlight = { lines: 0, bytes: 0 };
  // One who waits, woken by the next that is done: a race over hundreds would leave a reaction at each of them, a line.
  let wake = () => {};
  const until = async (hasRoom: () => boolean) => {
    while (!hasRoom()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const done = (bytes: number) => {
    inFlight.lines -= 1;
    inFlight.bytes -= bytes;
    wake();
  };
  const failed = (error: Error) => {
    tally.refused += 1;
    // One line's fault is told and the next is taken; without a spool there is nothing to take it.
    if ((error as FuselinkError).code === 'reading_invalid') complain(error.message);
    else {
      failure ??= error;
      stop();
    }
  };
  for await (const line of lines) {
    if (line === '') continue;
    if (++seen % TIDY_LINES === 0) terminal.tidy?.();
    const bytes = Buffer.byteLength(line);
    await until(
      () => inFlight.lines === 0 || (inFlight.lines < IN_FLIGHT_MAX && inFlight.bytes + bytes <= IN_FLIGHT_BYTES_MAX),
    );
    if (failure !== null) break;
    inFlight.lines += 1;
    inFlight.bytes += bytes;
    void record(line)
      .then(({ kept }) => {
        tally[kept ? 'kept' : 'refused'] += 1;
      }, failed)
      .then(() => done(bytes));
    if (terminal.signal.aborted || failure !== null) break;
  }
  terminal.signal.removeEventListener('abort', stop);
  await until(() => inFlight.lines === 0);
  if (failure !== null) throw failure;
  return tally;
}

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  if (parsed.words.length > 0) throw new UsageError('record reads standard input; no words are expected');
  const lane = laneOf(parsed);
  const json = parsed.values['json'] === true;
  const complain = (text: string) => void terminal.stderr.write(`${plain(text)}\n`);
  const client = createClient({
    url: serverUrl(parsed, terminal),
    ...credentialsFor(parsed, terminal),
    device: textOption(parsed, 'device'),
    readings: readingsOf(parsed),
    afterOutage: isJustUp(),
    ...connectionOf(parsed, terminal),
  });
  client.on('batch', ({ id, url, filename, sizeBytes, readings }) => {
    const line = json ? JSON.stringify({ id, url, filename, size: sizeBytes, readings }) : (url ?? id);
    terminal.stdout.write(`${line}\n`);
    terminal.tidy?.();
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
    device: { type: 'string', value: 'NAME', help: 'name in manifests and file names (default: the host’s)' },
    ...READINGS_OPTIONS,
    ...CONNECTION_OPTIONS,
  },
  details: [
    'Prints a link for each file. At the end of the input it waits until everything is on the server, at most --wait;\nwhat is left by then (exit 5), or when it is stopped, is on disk and sent by the next run.',
    'SIZE is in bytes, or with K, M, G (thousands). A line that is not kept (the lane is full and may not drop its oldest, the\ndisk, the bytes a day) is counted and told; then the exit is 1. Raw bytes that are no lines: by the library.',
  ],
  run,
};
