import type { SealCrypto } from '../crypto/port.ts';
import { SealError } from '../errors.ts';
import { fingerprint } from './fingerprint.ts';
import type { PublicKey, SecretKey } from './key.ts';
import { decodeSecretKey, encodePublicKey, keyTextKind, unlockSecretKey } from './key-text.ts';

/** Most characters of a key file: comments with an ML-DSA-65 public key take 3,000 a key; the rest is room for more keys. */
const KEY_FILE_CHARACTERS_MAX = 262_144;

/**
 * A key file: the private key's text (plain or locked) under comments that say whose it is (SPEC §2.5). ASCII lines
 * ended by LF; empty lines and lines that begin with `#` mean nothing; every other line is one key.
 */
export function encodeKeyFile(crypto: SealCrypto, key: PublicKey, secretText: string): string {
  const { hex, words } = fingerprint(crypto, key);
  return [
    `# Fuselink ${key.purpose} key (${key.algorithm}). The last line is secret: whoever has it is you.`,
    `# public key: ${encodePublicKey(crypto, key)}`,
    `# fingerprint: ${hex}`,
    `# in words: ${words}`,
    secretText,
    '',
  ].join('\n');
}

/**
 * The private keys of a key file, in order. `passphrase` is asked for only where a key is locked, once.
 * Throws {@link SealError} `key_malformed` (with the line's number, never its text), `key_missing` where there is no
 * key or no passphrase for a locked one, `passphrase_wrong`.
 */
export function decodeKeyFile(
  crypto: SealCrypto,
  text: string,
  passphrase: (() => string) | null = null,
): readonly SecretKey[] {
  if (text.length > KEY_FILE_CHARACTERS_MAX) {
    throw new SealError('key_malformed', `expected a key file of at most ${KEY_FILE_CHARACTERS_MAX} characters`);
  }
  let entered: string | null = null;
  const keys: SecretKey[] = [];
  text.split('\n').forEach((rawLine, index) => {
    const line = rawLine.trim();
    if (line === '' || line.startsWith('#')) return;
    const kind = keyTextKind(line);
    if (kind === null || kind.form === 'public') {
      const came = kind === null ? 'something else' : 'a public key';
      throw new SealError('key_malformed', `expected a private key in line ${index + 1}, got ${came}`);
    }
    if (kind.form === 'secret') {
      keys.push(decodeSecretKey(crypto, kind.purpose, line));
      return;
    }
    if (passphrase === null)
      throw new SealError('key_missing', `the key in line ${index + 1} is locked by a passphrase`);
    entered ??= passphrase();
    keys.push(unlockSecretKey(crypto, kind.purpose, line, entered));
  });
  if (keys.length === 0) throw new SealError('key_missing', 'expected a private key in the key file, got none');
  return keys;
}
