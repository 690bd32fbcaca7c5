import { basename } from 'node:path';
import type { FuselinkClient, Progress, SendOptions, SendResult } from '#sdk/node';
import { createClient, FuselinkError } from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, exitCodeOf, UsageError } from '../exit-codes.ts';
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
import { SEAL_OPTIONS, sealOptions } from '../seal-options.ts';
import { steadyMemory } from '../steady-memory.ts';
import type { ProgressBar, Terminal } from '../terminal.ts';
import { progressBar, showBytes } from '../terminal.ts';

/** Files under way at once. Results are printed in the order of the command line all the same. */
const PARALLEL = 4;

function sendOptions(parsed: Parsed, terminal: Terminal): SendOptions {
  const ttl = textOption(parsed, 'ttl');
  const burn = textOption(parsed, 'burn');
  if (burn !== undefined && burn !== 'on-delivery' && burn !== 'on-first-byte') {
    throw new UsageError(`--burn is expected as on-delivery or on-first-byte, got "${burn}"`);
  }
  return {
    filename: textOption(parsed, 'name'),
    contentType: textOption(parsed, 'type'),
    recipient: textOption(parsed, 'recipient'),
    ttlSeconds: ttl === undefined ? undefined : parseDuration(ttl, '--ttl'),
    note: textOption(parsed, 'note'),
    burn,
    giveUpAfterMs: waitMs(parsed),
    signal: terminal.signal,
  };
}

export function resultJson(file: string, result: SendResult): string {
  const { id, url, state, expiresAt, sizeBytes, sha256, filename, sealed } = result;
  return JSON.stringify({ file, id, url, state, expires_at: expiresAt, size: sizeBytes, sha256, filename, sealed });
}

/** What a person reads when a file could not be sent. */
export function complaint(file: string, error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof FuselinkError ? ` [${error.code}]` : '';
  const again =
    error instanceof FuselinkError && error.resumable ? '; the same command goes on where this stopped' : '';
  return `${text.startsWith(`${file}:`) ? '' : `${file}: `}${text}${code}${again}`;
}

export function errorJson(file: string, error: unknown): string {
  const known = error instanceof FuselinkError ? error : null;
  const code = known?.code ?? 'failed';
  const detail = error instanceof Error ? error.message : String(error);
  return JSON.stringify({
    file,
    error: { code, detail, status: known?.status ?? null, resumable: known?.resumable ?? false },
  });
}

async function sendAll(
  client: FuselinkClient,
  files: string[],
  options: SendOptions,
  terminal: Terminal,
  bar: ProgressBar,
  report: (file: string, outcome: SendResult | Error) => void,
): Promise<ExitCode> {
  const outcomes: (SendResult | Error | undefined)[] = [];
  let exit: ExitCode = EXIT.ok.code;
  let next = 0;
  let printed = 0;
  const one = async (file: string): Promise<SendResult | Error> => {
    const label = file === '-' ? 'stdin' : basename(file);
    try {
      const source = file === '-' ? terminal.stdin : file;
      const tidy = steadyMemory();
      const onProgress = (done: Progress) => {
        tidy(done.bytes);
        bar.update(label, done);
      };
      return await client.send(source as string, { ...options, onProgress });
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  };
  const worker = async () => {
    for (let index = next++; index < files.length; index = next++) {
      const outcome = await one(files[index] as string);
      outcomes[index] = outcome;
      if (outcome instanceof Error && exit === EXIT.ok.code) exit = exitCodeOf(outcome);
      for (; outcomes[printed] !== undefined; printed++)
        report(files[printed] as string, outcomes[printed] as SendResult);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, files.length) }, worker));
  return exit;
}

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  const files = parsed.words;
  if (files.length === 0) throw new UsageError('which file? give one or more, or - for standard input');
  if (files.filter((file) => file === '-').length > 1) throw new UsageError('standard input can be sent once');
  if (files.length > 1 && textOption(parsed, 'name') !== undefined) throw new UsageError('--name is for one file');
  const options = { ...sendOptions(parsed, terminal), seal: await sealOptions(parsed, terminal) };
  const json = parsed.values['json'] === true;
  const bar = progressBar(terminal);
  const client = createClient({
    url: serverUrl(parsed, terminal),
    ...credentialsFor(parsed, terminal),
    ...connectionOf(parsed, terminal),
  });
  client.on('retrying', ({ filename, detail, waitMs: ms }) => {
    bar.line(`${filename}: ${detail}; trying again in ${Math.max(1, Math.round(ms / 1000))} s`);
  });
  client.on('warning', ({ detail }) => bar.line(`warning: ${detail}`));
  client.on('restarted', ({ filename, reason }) => bar.line(`${filename}: starting afresh (${reason})`));
  try {
    return await sendAll(client, files, options, terminal, bar, (file, outcome) => {
      bar.clear();
      if (outcome instanceof Error) {
        if (json) terminal.stdout.write(`${errorJson(file, outcome)}\n`);
        bar.line(complaint(file, outcome));
        return;
      }
      const url = outcome.url ?? '(read already: there is no link any more)';
      terminal.stdout.write(json ? `${resultJson(file, outcome)}\n` : `${url}\n`);
      if (!json)
        bar.line(`${outcome.filename}: ${showBytes(outcome.sizeBytes)}, until ${outcome.expiresAt ?? 'it is read'}`);
    });
  } finally {
    bar.clear();
    await client.close();
  }
}

export const send: Command = {
  name: 'send',
  words: 'FILE…',
  summary: 'Send files; prints one link a line, in the order given.',
  options: {
    ...SERVER_OPTIONS,
    recipient: { type: 'string', value: 'WHO', help: 'whom it is for; shown in lists, mails nobody' },
    ttl: { type: 'string', value: 'DURATION', help: 'how long the link lives: 60 s to 7d (default 24h)' },
    note: { type: 'string', value: 'TEXT', help: 'a line for the receiver' },
    name: { type: 'string', value: 'NAME', help: 'the name the receiver sees (for - and for one file)' },
    type: { type: 'string', value: 'TYPE', help: 'content type (default application/octet-stream)' },
    ...SEAL_OPTIONS,
    burn: { type: 'string', value: 'RULE', help: 'on-delivery (default) or on-first-byte' },
    ...CONNECTION_OPTIONS,
  },
  details: [
    'With --to or --seal the file is sealed on this machine: the server learns its size and no more, not even its name.\nAddresses are looked up in the directory of the account; a key is remembered when it is first met, and another one\nlater is refused. A sealed send that was killed starts afresh, under a new key.',
    'A FILE of - is standard input. Files over 64 KiB are sent resumably: killed or cut off, the same command goes\non where it stopped. After one file fails the others are still sent, and the exit status tells of the first\nfailure. Keys are never taken from the command line, where every process could read them.',
  ],
  run,
};
