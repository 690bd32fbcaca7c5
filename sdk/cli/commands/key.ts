import type { SlotRecord } from '#sdk/core';
import { credentialFolder, fingerprint, keyOfSecret, openCredentialSlots, Secret } from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, UsageError } from '../exit-codes.ts';
import type { Parsed } from '../options.ts';
import { givenKey, textOption } from '../options.ts';
import type { Terminal } from '../terminal.ts';

/** A key is 64 or 32 characters; more than this on standard input is something else. */
const INPUT_CHARS_MAX = 4096;

async function readAll(stdin: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stdin) {
    text += String(chunk);
    if (text.length > INPUT_CHARS_MAX) throw new UsageError('expected a key on standard input, got far more than one');
  }
  return text.trim();
}

async function importKey(parsed: Parsed, terminal: Terminal, folder: string): Promise<ExitCode> {
  const fromFile = textOption(parsed, 'key-file') === undefined ? undefined : givenKey(parsed, terminal);
  const secret = new Secret(fromFile ?? (await readAll(terminal.stdin)));
  const key = keyOfSecret(secret);
  if (key === null) {
    throw new UsageError(
      'expected a key as 64 hex characters or pdm_ and 28 more, got neither (it is not repeated here)',
    );
  }
  const slots = openCredentialSlots(folder);
  const { base, candidate } = slots.look();
  const print = fingerprint(key);
  if (base !== null && base.fingerprint !== print && parsed.values['replace'] !== true) {
    throw new UsageError(`there is a key already (${base.fingerprint}); --replace puts this one in its place`);
  }
  const generation = Math.max(base?.generation ?? 0, candidate?.generation ?? 0);
  slots.provision(key, base?.fingerprint === print ? generation : generation + 1);
  const stored = slots.look().base;
  if (stored?.fingerprint !== print) throw new Error('the key does not read back from the store as it was written');
  terminal.stdout.write(
    parsed.values['json'] === true ? `${JSON.stringify({ fingerprint: print, folder })}\n` : `${print}\n`,
  );
  terminal.stderr.write(`The key is in ${folder}. Delete where it came from.\n`);
  return EXIT.ok.code;
}

function slotJson(record: SlotRecord | null): object | null {
  return record === null ? null : { fingerprint: record.fingerprint, generation: record.generation };
}

function show(parsed: Parsed, terminal: Terminal, folder: string, full: boolean): ExitCode {
  const { state, base, candidate, mirrored } = openCredentialSlots(folder).look();
  if (parsed.values['json'] === true) {
    const view = { folder, state, key: slotJson(base), candidate: slotJson(candidate), mirrored };
    terminal.stdout.write(`${JSON.stringify(view)}\n`);
  } else if (full) {
    terminal.stdout.write(`folder      ${folder}\nstate       ${state}\n`);
    if (base !== null) terminal.stdout.write(`key         ${base.fingerprint}, generation ${base.generation}\n`);
    if (candidate !== null)
      terminal.stdout.write(`candidate   ${candidate.fingerprint}, generation ${candidate.generation}\n`);
    if (base !== null)
      terminal.stdout.write(`mirrored    ${mirrored ? 'yes' : 'no: one slot holds it; the next start heals that'}\n`);
  } else if (base !== null) terminal.stdout.write(`${base.fingerprint}\n`);
  if (base !== null) return EXIT.ok.code;
  terminal.stderr.write(`There is no key in ${folder}. \`fuselink key import\` puts one there.\n`);
  return EXIT.failed.code;
}

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  const [verb, ...rest] = parsed.words;
  const folder = textOption(parsed, 'folder') ?? credentialFolder(terminal.env);
  // Whatever it is, it may be a key: it is not repeated.
  if (rest.length > 0)
    throw new UsageError('expected import, show or status alone: a key is never given on the command line');
  if (verb === 'import') return importKey(parsed, terminal, folder);
  if (verb === 'show' || verb === 'status') return show(parsed, terminal, folder, verb === 'status');
  throw new UsageError('expected import, show or status');
}

export const key: Command = {
  name: 'key',
  words: 'import|show|status',
  summary: 'The credential store: put a key in, or see which one is there (fingerprints only).',
  options: {
    'key-file': { type: 'string', value: 'FILE', help: 'import: the file with the key (default: standard input)' },
    replace: { type: 'boolean', help: 'import: put it in the place of another key' },
    folder: { type: 'string', value: 'DIR', help: 'the store (or FUSELINK_CREDENTIALS; default ~/.config/fuselink)' },
    json: { type: 'boolean', help: 'print JSON' },
  },
  details: ['A key is never shown again and never taken from the command line. The store is one file of mode 0600.'],
  run,
};
