import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { defaultStateFolder } from '#sdk/node';
import { UsageError } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

/** One option of a command: how it is written, and what `--help` says of it. */
export interface OptionSpec {
  type: 'string' | 'boolean';
  short?: string;
  /** May be given more than once. */
  multiple?: boolean;
  /** Name of the value in the help (`SECONDS`). */
  value?: string;
  help: string;
}

export type OptionSpecs = Record<string, OptionSpec>;

export interface Parsed {
  values: Record<string, string | boolean | string[] | undefined>;
  words: string[];
}

/** Which server, and with which key. */
export const SERVER_OPTIONS = {
  url: { type: 'string', value: 'URL', help: 'the server (or FUSELINK_URL)' },
  'key-file': {
    type: 'string',
    value: 'FILE',
    help: 'file with the API key (or FUSELINK_KEY, or the credential store)',
  },
} as const satisfies OptionSpecs;

/** Options every command that reaches a server has. */
export const CONNECTION_OPTIONS = {
  ca: { type: 'string', value: 'FILE', help: 'PEM certificates to trust beside the system’s (or FUSELINK_CA)' },
  proxy: { type: 'string', value: 'URL', help: 'HTTP proxy; `none` for none (default: https_proxy, no_proxy)' },
  wait: { type: 'string', value: 'DURATION', help: 'give up after so long without progress (default 1m; `forever`)' },
  json: { type: 'boolean', help: 'print results and errors as JSON, one object a line' },
} as const satisfies OptionSpecs;

/** Read a command's words and options. Throws UsageError that names what was not understood. */
export function parseOptions(specs: OptionSpecs, argv: string[]): Parsed {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }> = {
    help: { type: 'boolean', short: 'h' },
  };
  for (const [name, spec] of Object.entries(specs)) {
    options[name] = {
      type: spec.type,
      ...(spec.short === undefined ? {} : { short: spec.short }),
      ...(spec.multiple === true ? { multiple: true } : {}),
    };
  }
  try {
    const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true, strict: true });
    return { values: values as Parsed['values'], words: positionals };
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0] ?? 'the command line was not understood');
  }
}

export function textOption(parsed: Parsed, name: string): string | undefined {
  const value = parsed.values[name];
  return typeof value === 'string' ? value : undefined;
}

/** The values of an option that may be repeated, in order. */
export function listOption(parsed: Parsed, name: string): string[] {
  const value = parsed.values[name];
  return Array.isArray(value) ? value : typeof value === 'string' ? [value] : [];
}

/** A whole number. Throws UsageError. */
export function wholeOption(parsed: Parsed, name: string): number | undefined {
  const text = textOption(parsed, name);
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name} is expected as a whole number, got "${text}"`);
  return Number(text);
}

/** One of a few words. Throws UsageError that lists them. */
export function oneOf<Word extends string>(parsed: Parsed, name: string, words: readonly Word[]): Word | undefined {
  const text = textOption(parsed, name);
  if (text === undefined) return undefined;
  const found = words.find((word) => word === text);
  if (found === undefined) throw new UsageError(`--${name} is expected as ${words.join(', ')}, got "${text}"`);
  return found;
}

const UNIT_BYTES: Record<string, number> = { K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** `262144`, `500K`, `10G` → bytes, in thousands as disks are sold. Throws UsageError. */
export function parseSize(text: string, what: string): number {
  const found = /^(\d{1,12})([KMGT]?)B?$/i.exec(text.trim());
  const bytes = found === null ? Number.NaN : Number(found[1]) * (UNIT_BYTES[(found[2] ?? '').toUpperCase()] ?? 1);
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new UsageError(`${what} is expected as bytes or with a unit (262144, 500K, 20M, 10G), got "${text}"`);
  }
  return bytes;
}

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400 };

/** `90`, `90s`, `15m`, `12h`, `7d` → seconds. Throws UsageError. */
export function parseDuration(text: string, what: string): number {
  const found = /^(\d{1,9})([smhd]?)$/.exec(text.trim());
  if (found === null)
    throw new UsageError(`${what} is expected as seconds or with a unit (90, 15m, 12h, 7d), got "${text}"`);
  return Number(found[1]) * (UNIT_SECONDS[found[2] || 's'] ?? 1);
}

/** `--wait` in ms; null for ever. */
export function waitMs(parsed: Parsed): number | null {
  const text = textOption(parsed, 'wait');
  if (text === undefined) return 60_000;
  return text === 'forever' ? null : parseDuration(text, '--wait') * 1000;
}

function readOption(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${what}: ${(error as Error).message}`);
  }
}

/** TLS, proxy and state folder for `createClient` and `receive`. */
export function connectionOf(
  parsed: Parsed,
  terminal: Terminal,
): { ca?: string; proxy?: string | null; stateFolder: string } {
  const ca = textOption(parsed, 'ca') ?? terminal.env['FUSELINK_CA'];
  const proxy = textOption(parsed, 'proxy');
  return {
    stateFolder: defaultStateFolder(terminal.env),
    ...(ca === undefined ? {} : { ca: readOption(ca, '--ca') }),
    ...(proxy === undefined ? {} : { proxy: proxy === 'none' ? null : proxy }),
  };
}

export function serverUrl(parsed: Parsed, terminal: Terminal): string {
  const url = textOption(parsed, 'url') ?? terminal.env['FUSELINK_URL'];
  if (url === undefined || url === '') throw new UsageError('which server? give --url or set FUSELINK_URL');
  return url;
}

/** The API key from `--key-file` or FUSELINK_KEY; undefined when neither is given. Line ends around it are dropped. */
export function givenKey(parsed: Parsed, terminal: Terminal): string | undefined {
  const file =
    textOption(parsed, 'key-file') ?? (terminal.env['FUSELINK_KEY'] ? undefined : terminal.env['FUSELINK_KEY_FILE']);
  if (file !== undefined) {
    const key = readOption(file, '--key-file').trim();
    if (key === '') throw new UsageError(`--key-file: ${file} is empty`);
    return key;
  }
  const key = terminal.env['FUSELINK_KEY']?.trim();
  return key === '' ? undefined : key;
}
