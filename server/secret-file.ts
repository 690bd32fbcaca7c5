import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Random } from './ports/crypto.ts';
import type { KeyringKeys } from './usecases/sealing/keyring.ts';

const KEY_BYTES = 32;
const VERSIONS_MAX = 255;

/** The keyring is missing, unreadable or open to others: said with what to do. */
export class SecretError extends Error {
  override name = 'SecretError';
}

interface SecretText {
  fuselink_secret: 1;
  current: number;
  /** version → 64 hex characters */
  keys: Record<string, string>;
}

/**
 * The keyring of an installation. Made on first start; a start without it on existing data is refused, because a new
 * one could open none of the sealed names and would orphan every link made with an Idempotency-Key.
 */
export function loadSecret(options: { file: string; inline: string | null; dataExists: boolean; random: Random }): {
  keys: KeyringKeys;
  created: boolean;
} {
  if (options.inline !== null) return { keys: parseSecret(options.inline, 'FUSELINK_SECRET'), created: false };
  if (existsSync(options.file)) {
    const mode = statSync(options.file).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      throw new SecretError(
        `${options.file}: expected to be readable by its owner only (0600), got 0${mode.toString(8)}. Mend it with: chmod 600 ${options.file}`,
      );
    }
    return { keys: parseSecret(readFileSync(options.file, 'utf8'), options.file), created: false };
  }
  if (options.dataExists) {
    throw new SecretError(
      `${options.file}: expected the keyring that seals the data that is already there, got no such file. Restore it from your backup, or point FUSELINK_SECRET_FILE at it. Without it, names, notes and recipients cannot be opened.`,
    );
  }
  const keys: KeyringKeys = { current: 1, keys: new Map([[1, options.random.bytes(KEY_BYTES)]]) };
  if (writeSecret(options.file, keys, { onlyIfAbsent: true })) return { keys, created: true };
  // Another process (the operator's command line, say) made one at the same moment: there must be one keyring.
  return { keys: parseSecret(readFileSync(options.file, 'utf8'), options.file), created: false };
}

/** Adds a key and makes it the current one; the old ones stay, for what they sealed. */
export function rotatedSecret(keys: KeyringKeys, random: Random): KeyringKeys {
  const next = Math.max(...keys.keys.keys()) + 1;
  if (next > VERSIONS_MAX)
    throw new SecretError(`expected at most ${VERSIONS_MAX} versions of the secret, got one more`);
  return { current: next, keys: new Map([...keys.keys, [next, random.bytes(KEY_BYTES)]]) };
}

/**
 * Writes the keyring aside, flushes it, and only then puts it in place: a power cut leaves the old or the new one.
 * With `onlyIfAbsent` false is returned, and nothing changed, where there is one already.
 */
export function writeSecret(file: string, keys: KeyringKeys, options: { onlyIfAbsent?: boolean } = {}): boolean {
  const text: SecretText = {
    fuselink_secret: 1,
    current: keys.current,
    keys: Object.fromEntries(
      [...keys.keys].map(([version, key]) => [String(version), Buffer.from(key).toString('hex')]),
    ),
  };
  mkdirSync(dirname(file), { recursive: true });
  const aside = `${file}.${process.pid}.new`;
  const handle = openSync(aside, 'w', 0o600);
  try {
    writeSync(handle, `${JSON.stringify(text, null, 2)}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  if (options.onlyIfAbsent === true) {
    try {
      // A link is made only where nothing has the name yet; a rename would replace what another process just made.
      linkSync(aside, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return false;
    } finally {
      unlinkSync(aside);
    }
  } else {
    renameSync(aside, file);
  }
  const folder = openSync(dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  return true;
}

function parseSecret(text: string, where: string): KeyringKeys {
  let value: Partial<SecretText>;
  try {
    value = JSON.parse(text) as Partial<SecretText>;
  } catch {
    throw new SecretError(`${where}: expected the JSON of a keyring, got another text`);
  }
  const entries = Object.entries(value.keys ?? {});
  const sound = entries.every(
    ([version, hex]) =>
      /^\d{1,3}$/.test(version) &&
      Number(version) >= 1 &&
      Number(version) <= VERSIONS_MAX &&
      /^[0-9a-f]{64}$/.test(hex),
  );
  if (
    value.fuselink_secret !== 1 ||
    !sound ||
    entries.length === 0 ||
    value.keys?.[String(value.current)] === undefined
  ) {
    throw new SecretError(
      `${where}: expected a keyring ({"fuselink_secret":1,"current":…,"keys":{…}}), got another form`,
    );
  }
  const keys = new Map(entries.map(([version, hex]) => [Number(version), new Uint8Array(Buffer.from(hex, 'hex'))]));
  return { current: value.current as number, keys };
}
