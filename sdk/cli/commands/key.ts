import type { ApiKey, SlotRecord } from '#sdk/core';
import { credentialFolder, fingerprint, keyOfSecret, openCredentialSlots, Secret, saveIdentity } from '#sdk/node';
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

/** What was put in: a key, and what came with it where it is the JSON of `device enrol`, `issue` or `reprovision`. */
interface Given {
  key: ApiKey;
  identity: { deviceId: string; recoverySecret: string } | null;
  generation: number | null;
}

async function given(parsed: Parsed, terminal: Terminal): Promise<Given> {
  const fromFile = textOption(parsed, 'key-file') === undefined ? undefined : givenKey(parsed, terminal);
  const text = fromFile ?? (await readAll(terminal.stdin));
  const said = text.startsWith('{') ? jsonOf(text) : { api_key: text };
  const rotation = said['rotation'] as { device_id?: unknown } | undefined;
  const key = keyOfSecret(new Secret(String(said['api_key'] ?? said['key'] ?? '')));
  if (key === null) {
    throw new UsageError(
      'expected a key as 64 hex characters or pdm_ and 28 more, or the JSON that has one, got neither (it is not repeated here)',
    );
  }
  const deviceId = said['device_id'] ?? rotation?.device_id;
  const recoverySecret = said['recovery_secret'];
  const identity =
    typeof deviceId === 'string' && typeof recoverySecret === 'string' ? { deviceId, recoverySecret } : null;
  return { key, identity, generation: typeof said['generation'] === 'number' ? said['generation'] : null };
}

function jsonOf(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new UsageError('expected the JSON of `fuselink-server device enrol --json`, got something that is none');
  }
}

async function importKey(parsed: Parsed, terminal: Terminal, folder: string): Promise<ExitCode> {
  const { key, identity } = await given(parsed, terminal);
  const slots = openCredentialSlots(folder);
  const { base, candidate } = slots.look();
  const print = fingerprint(key);
  if (base !== null && base.fingerprint !== print && parsed.values['replace'] !== true) {
    throw new UsageError(`there is a key already (${base.fingerprint}); --replace puts this one in its place`);
  }
  // The identity first: a key that stands alone can be put in again, and a device in trouble needs the other.
  if (identity !== null) await saveIdentity(folder, identity);
  const generation = Math.max(base?.generation ?? 0, candidate?.generation ?? 0);
  slots.provision(key, base?.fingerprint === print ? generation : generation + 1);
  const stored = slots.look().base;
  if (stored?.fingerprint !== print) throw new Error('the key does not read back from the store as it was written');
  tell(parsed, terminal, { fingerprint: print, folder, recovery: identity !== null });
  const also = identity === null ? '' : ', and the recovery secret beside it';
  terminal.stderr.write(`The key is in ${folder}${also}. Delete where it came from.\n`);
  return EXIT.ok.code;
}

/** A key that an operator carried here goes beside the present one: both are kept until the new one has proven itself. */
async function stageKey(parsed: Parsed, terminal: Terminal, folder: string): Promise<ExitCode> {
  const { key, generation } = await given(parsed, terminal);
  const slots = openCredentialSlots(folder);
  const { base } = slots.look();
  if (base === null) throw new UsageError('expected a key to stand beside, got an empty store: `fuselink key import`');
  if (generation === null || generation <= base.generation) {
    throw new UsageError(
      `expected the JSON of \`fuselink-server device issue --json\` with a generation above ${base.generation}, got ${generation ?? 'a key alone'}`,
    );
  }
  slots.stage(key, generation, base.fingerprint);
  const { candidate } = slots.look();
  if (candidate?.fingerprint !== fingerprint(key))
    throw new Error('the key does not read back from the store as it was written');
  tell(parsed, terminal, { fingerprint: candidate.fingerprint, generation, folder });
  terminal.stderr.write('Staged beside the present key. What runs on this store takes it at its next start.\n');
  return EXIT.ok.code;
}

function tell(parsed: Parsed, terminal: Terminal, about: { fingerprint: string; [word: string]: unknown }): void {
  terminal.stdout.write(parsed.values['json'] === true ? `${JSON.stringify(about)}\n` : `${about.fingerprint}\n`);
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
    throw new UsageError('expected import, stage, show or status alone: a key is never given on the command line');
  if (verb === 'import') return importKey(parsed, terminal, folder);
  if (verb === 'stage') return stageKey(parsed, terminal, folder);
  if (verb === 'show' || verb === 'status') return show(parsed, terminal, folder, verb === 'status');
  throw new UsageError('expected import, stage, show or status');
}

export const key: Command = {
  name: 'key',
  words: 'import|stage|show|status',
  summary: 'The credential store: put a key in, or see which one is there (fingerprints only).',
  options: {
    'key-file': {
      type: 'string',
      value: 'FILE',
      help: 'import, stage: the file with the key, or with the JSON it came in (default: standard input)',
    },
    replace: { type: 'boolean', help: 'import: put it in the place of another key' },
    folder: { type: 'string', value: 'DIR', help: 'the store (or FUSELINK_CREDENTIALS; default ~/.config/fuselink)' },
    json: { type: 'boolean', help: 'print JSON' },
  },
  details: [
    'import takes `fuselink-server device enrol --json` whole: then the recovery secret is kept, too. stage puts the',
    'key of `device issue --json` beside the present one, which is dropped only when the new one has proven itself.',
    'A key is never shown again and never taken from the command line. The store is one file of mode 0600.',
  ],
  run,
};
