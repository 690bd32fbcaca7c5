import { FuselinkError, openSealedFile } from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, exitCodeOf, UsageError } from '../exit-codes.ts';
import type { Parsed } from '../options.ts';
import { textOption } from '../options.ts';
import { UNSEAL_OPTIONS, unsealOptions } from '../seal-options.ts';
import type { Terminal } from '../terminal.ts';
import { plain, showBytes } from '../terminal.ts';
import { openedLine } from './receive.ts';
import { complaint, errorJson } from './send.ts';

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  const [file, ...rest] = parsed.words;
  if (file === undefined || rest.length > 0) throw new UsageError('expected one sealed file');
  const json = parsed.values['json'] === true;
  const unseal = (await unsealOptions(parsed, terminal)) ?? {};
  try {
    const { path, filename, sizeBytes, sha256, signer } = await openSealedFile(file, {
      ...unseal,
      link: textOption(parsed, 'link'),
      to: textOption(parsed, 'output'),
      overwrite: parsed.values['force'] === true,
    });
    if (json) {
      terminal.stdout.write(`${JSON.stringify({ path, filename, size: sizeBytes, sha256, signer })}\n`);
      return EXIT.ok.code;
    }
    terminal.stdout.write(`${path}\n`);
    terminal.stderr.write(`${showBytes(sizeBytes)}, SHA-256 ${sha256}\n${openedLine(signer?.words ?? null)}\n`);
    return EXIT.ok.code;
  } catch (error) {
    if (error instanceof FuselinkError && error.code === 'option_invalid') throw new UsageError(error.message);
    if (json) terminal.stdout.write(`${errorJson(file, error)}\n`);
    terminal.stderr.write(`${plain(complaint(file, error))}\n`);
    return exitCodeOf(error);
  }
}

export const open: Command = {
  name: 'open',
  words: 'FILE',
  summary: 'Open a sealed file that was downloaded by other means; nothing appears until all of it held.',
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FILE|DIR',
      help: 'where to put it (default: here, under its own name)',
    },
    force: { type: 'boolean', short: 'f', help: 'replace a file that is there already' },
    link: { type: 'string', value: 'LINK', help: 'the whole link it came from, for what is sealed to its link' },
    ...UNSEAL_OPTIONS,
    json: { type: 'boolean', help: 'print the result or error as JSON' },
  },
  details: [
    '`fuselink receive` downloads and opens in one go; this is for what curl or a browser has stored as it is.',
  ],
  run,
};
