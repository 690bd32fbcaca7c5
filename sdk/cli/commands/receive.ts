import { FuselinkError, receive as receiveLink } from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, exitCodeOf, UsageError } from '../exit-codes.ts';
import type { Parsed } from '../options.ts';
import { CONNECTION_OPTIONS, connectionOf, textOption, waitMs } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { plain, progressBar, showBytes } from '../terminal.ts';
import { complaint, errorJson } from './send.ts';

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  const [url, ...rest] = parsed.words;
  if (url === undefined || rest.length > 0) throw new UsageError('expected one link');
  const json = parsed.values['json'] === true;
  const bar = progressBar(terminal);
  const wait = waitMs(parsed);
  try {
    const done = await receiveLink(url, {
      to: textOption(parsed, 'output'),
      overwrite: parsed.values['force'] === true,
      signal: terminal.signal,
      giveUpAfterMs: wait ?? Number.POSITIVE_INFINITY,
      onProgress: (progress) => bar.update('receiving', progress),
      onRetry: ({ detail, waitMs: ms }) =>
        bar.line(`${detail}; trying again in ${Math.max(1, Math.round(ms / 1000))} s`),
      ...connectionOf(parsed, terminal),
    });
    bar.clear();
    if (json) {
      const { path, filename, sizeBytes, sha256, note, sealed, resumed } = done;
      terminal.stdout.write(`${JSON.stringify({ path, filename, size: sizeBytes, sha256, note, sealed, resumed })}\n`);
      return EXIT.ok.code;
    }
    terminal.stdout.write(`${done.path}\n`);
    bar.line(`${showBytes(done.sizeBytes)}, SHA-256 ${done.sha256}; the link is burned`);
    if (done.note !== null) bar.line(`Note: ${plain(done.note)}`);
    if (done.sealed) bar.line('It is sealed end to end: open it with its key.');
    return EXIT.ok.code;
  } catch (error) {
    bar.clear();
    if (error instanceof FuselinkError && error.code === 'option_invalid') throw new UsageError(error.message);
    if (json) terminal.stdout.write(`${errorJson('link', error)}\n`);
    bar.line(complaint('receive', error));
    return exitCodeOf(error);
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
      help: 'where to put it (default: here, under its own name)',
    },
    force: { type: 'boolean', short: 'f', help: 'replace a file that is there already' },
    ...CONNECTION_OPTIONS,
  },
  details: [
    'The file grows as NAME.part and gets its name when its SHA-256 is right. Killed or cut off, the same command\ngoes on. What does not arrive whole is not burned.',
  ],
  run,
};
