import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReceiveOptions, ReceiveResult, UnsealOptions } from '#sdk/node';
import { createClient, defaultStateFolder, FuselinkError, receive as receiveLink } from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, exitCodeOf, UsageError } from '../exit-codes.ts';
import { keyFor } from '../key.ts';
import type { Parsed } from '../options.ts';
import { CONNECTION_OPTIONS, connectionOf, serverUrl, textOption, waitMs } from '../options.ts';
import { UNSEAL_OPTIONS, unsealOptions } from '../seal-options.ts';
import { steadyMemory } from '../steady-memory.ts';
import type { ProgressBar, Terminal } from '../terminal.ts';
import { plain, progressBar, showBytes } from '../terminal.ts';
import { complaint, errorJson } from './send.ts';

type Receive = (url: string, options: ReceiveOptions) => Promise<ReceiveResult>;

/** The link is all that is needed, unless devices are named whose keys the account's server knows. */
function receiver(parsed: Parsed, terminal: Terminal, unseal: UnsealOptions | undefined, bar: ProgressBar): Receive {
  const connection = connectionOf(parsed, terminal);
  const byName = (unseal?.signedBy ?? []).some((who) => !who.startsWith('fuselink_'));
  if (!byName) return (url, options) => receiveLink(url, { ...connection, ...options });
  const client = createClient({ url: serverUrl(parsed, terminal), key: keyFor(parsed, terminal), ...connection });
  client.on('warning', ({ detail }) => bar.line(detail));
  return (url, options) => client.receive(url, options).finally(() => client.close());
}

/** What is known of the sender of an opened file. */
export function openedLine(words: string | null): string {
  return words === null
    ? 'It was sealed end to end, and is not signed.'
    : `It was sealed end to end. Signed by ${words}`;
}

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  const [url, ...rest] = parsed.words;
  if (url === undefined || rest.length > 0) throw new UsageError('expected one link');
  const json = parsed.values['json'] === true;
  const output = textOption(parsed, 'output');
  if (output !== '-') return receiveTo(parsed, terminal, url, { to: output });
  if (json) throw new UsageError('--json and -o - both write to standard output');
  const to = await standardOutputFile(terminal, url);
  try {
    return await receiveTo(parsed, terminal, url, { to, onStored: (path) => copyOut(path, terminal.stdout) });
  } finally {
    await rm(to, { force: true });
  }
}

async function receiveTo(
  parsed: Parsed,
  terminal: Terminal,
  url: string,
  where: Pick<ReceiveOptions, 'to' | 'onStored'>,
): Promise<ExitCode> {
  const json = parsed.values['json'] === true;
  const bar = progressBar(terminal);
  const wait = waitMs(parsed);
  const tidy = steadyMemory();
  const unseal = await unsealOptions(parsed, terminal);
  const read = receiver(parsed, terminal, unseal, bar);
  try {
    const done = await read(url, {
      unseal,
      ...where,
      overwrite: parsed.values['force'] === true || where.onStored !== undefined,
      signal: terminal.signal,
      giveUpAfterMs: wait ?? Number.POSITIVE_INFINITY,
      onProgress: (progress) => {
        tidy(progress.bytes);
        bar.update('receiving', progress);
      },
      onRetry: ({ detail, waitMs: ms }) =>
        bar.line(`${detail}; trying again in ${Math.max(1, Math.round(ms / 1000))} s`),
    });
    bar.clear();
    if (json) {
      const { path, filename, sizeBytes, sha256, note, sealed, resumed, opened, signer } = done;
      const what = { path, filename, size: sizeBytes, sha256, note, sealed, resumed, opened, signer };
      terminal.stdout.write(`${JSON.stringify(what)}\n`);
      return EXIT.ok.code;
    }
    if (where.onStored === undefined) terminal.stdout.write(`${done.path}\n`);
    bar.line(`${showBytes(done.sizeBytes)}, SHA-256 ${done.sha256}; the link is burned`);
    if (done.note !== null) bar.line(`Note: ${plain(done.note)}`);
    if (done.sealed) bar.line('It is sealed end to end: open it with its key (`fuselink open`).');
    if (done.opened)
      bar.line(done.signer === null ? 'It was sealed, and is not signed.' : `Signed by the key ${done.signer.words}`);
    return EXIT.ok.code;
  } catch (error) {
    bar.clear();
    if (error instanceof FuselinkError && error.code === 'option_invalid') throw new UsageError(error.message);
    if (json) terminal.stdout.write(`${errorJson('link', error)}\n`);
    bar.line(complaint('receive', error));
    return exitCodeOf(error);
  }
}

/** Where what goes to standard output lies until it is verified: the same place for the same link. */
async function standardOutputFile(terminal: Terminal, url: string): Promise<string> {
  const folder = join(defaultStateFolder(terminal.env), 'standard-output');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return join(folder, createHash('sha256').update(url).digest('hex').slice(0, 40));
}

/** Rejects where whoever reads has gone: then it was not taken. */
async function copyOut(path: string, stdout: Terminal['stdout']): Promise<void> {
  try {
    for await (const piece of createReadStream(path)) {
      await new Promise<void>((resolve, reject) => {
        stdout.write(piece as Buffer, (error) => (error ? reject(error) : resolve()));
      });
    }
  } catch (error) {
    throw new FuselinkError('target_unwritable', `standard output: ${(error as Error).message}; nothing was burned`);
  }
}

export const receive: Command = {
  name: 'receive',
  words: 'URL',
  summary: 'Read a link once: download, check the digest, store, and only then let it burn.',
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FILE|DIR',
      help: 'where to put it (default: here, under its own name); `-` for standard output',
    },
    force: { type: 'boolean', short: 'f', help: 'replace a file that is there already' },
    ...UNSEAL_OPTIONS,
    url: { type: 'string', value: 'URL', help: 'the server that knows the devices of --signed-by (or FUSELINK_URL)' },
    'key-file': { type: 'string', value: 'FILE', help: 'file with the API key, for --signed-by' },
    ...CONNECTION_OPTIONS,
  },
  details: [
    'The file grows as NAME.part and gets its name when its SHA-256 is right. Killed or cut off, the same command\ngoes on. What does not arrive whole is not burned.',
    'Standard output gets the file only when all of it was verified; it is burned when all of it was taken. Until then it\nlies in FUSELINK_STATE.',
  ],
  run,
};
