import { readFileSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { UsageError } from './exit-codes.ts';
import type { Parsed } from './options.ts';
import { textOption } from './options.ts';
import type { Terminal } from './terminal.ts';

const PASSPHRASE_CHARS_MAX = 1024;
const ENTER = ['\r', '\n'];
const RUB_OUT = ['\u007f', '\b'];
const CANCEL = ['\u0003', '\u0004'];

interface RawInput {
  isTTY?: boolean;
  setRawMode?(on: boolean): void;
}

/** The passphrase of `--passphrase-file` or FUSELINK_PASSPHRASE_FILE: its first line; null where none is named. */
function givenPassphrase(parsed: Parsed, terminal: Terminal): string | null {
  const path = textOption(parsed, 'passphrase-file') ?? terminal.env['FUSELINK_PASSPHRASE_FILE'];
  if (path === undefined || path === '') return null;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--passphrase-file: ${(error as Error).message}`);
  }
  const line = text.split(/\r?\n/)[0] ?? '';
  if (line === '') throw new UsageError(`--passphrase-file: the first line of ${path} is empty`);
  return line;
}

/** A line from the keyboard that is not shown. Throws UsageError where there is no keyboard. */
async function typed(terminal: Terminal, prompt: string): Promise<string> {
  const input = terminal.stdin as NodeJS.ReadableStream & RawInput;
  if (input.isTTY !== true) {
    throw new UsageError('a passphrase is needed and nobody is at a keyboard: give --passphrase-file');
  }
  terminal.stderr.write(prompt);
  input.setRawMode?.(true);
  try {
    return await lineOf(input);
  } finally {
    input.setRawMode?.(false);
    terminal.stderr.write('\n');
  }
}

/** The next line of an open stream, which stays open: there may be another question. */
function lineOf(input: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    // A character of several bytes may come in two chunks.
    const decoder = new StringDecoder('utf8');
    let line = '';
    const end = (settle: () => void) => {
      input.pause();
      input.removeListener('data', take).removeListener('end', over);
      settle();
    };
    const over = () => end(() => resolve(line));
    const take = (chunk: Buffer | string) => {
      const text = typeof chunk === 'string' ? chunk : decoder.write(chunk);
      for (let at = 0; at < text.length; at++) {
        const character = text.charAt(at);
        if (ENTER.includes(character)) {
          const rest = text.slice(at + 1);
          end(() => resolve(line));
          if (rest !== '') input.unshift(rest);
          return;
        }
        if (CANCEL.includes(character)) return end(() => reject(new UsageError('no passphrase was given')));
        line = RUB_OUT.includes(character) ? line.slice(0, -1) : line + character;
        if (line.length > PASSPHRASE_CHARS_MAX) {
          return end(() => reject(new UsageError('the passphrase has too many characters')));
        }
      }
    };
    input.on('data', take).on('end', over);
    input.resume();
  });
}

/** A passphrase for a new key: from the file, else typed twice. */
export async function newPassphrase(parsed: Parsed, terminal: Terminal): Promise<string> {
  const given = givenPassphrase(parsed, terminal);
  if (given !== null) return given;
  const first = await typed(terminal, 'Passphrase for the new key: ');
  if (first === '') throw new UsageError('expected a passphrase, got none');
  if ((await typed(terminal, 'Once more: ')) !== first) throw new UsageError('the two passphrases differ');
  return first;
}

/** The passphrase for these key files, asked for before it is needed and only where one of them is locked. */
export async function passphraseFor(
  files: readonly string[],
  parsed: Parsed,
  terminal: Terminal,
): Promise<(() => string) | undefined> {
  const locked = files.filter((file) => /^fuselink_\w*locked1_/m.test(readQuietly(file)));
  if (locked.length === 0) return undefined;
  const given = givenPassphrase(parsed, terminal) ?? (await typed(terminal, `Passphrase for ${locked.join(', ')}: `));
  return () => given;
}

/** What cannot be read is told where the key is needed, with its own error. */
function readQuietly(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
