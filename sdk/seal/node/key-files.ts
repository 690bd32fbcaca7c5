import { open, readFile, stat } from 'node:fs/promises';
import type { SealCrypto } from '../crypto/port.ts';
import { SealError } from '../errors.ts';
import type { PublicKey, SecretKey } from '../keys/key.ts';
import { decodeKeyFile, encodeKeyFile } from '../keys/key-file.ts';

/** Bits by which others than the owner could read or change a key file. */
const OTHERS_BITS = 0o077;

/**
 * Writes a new key file with mode 0600, synced. `secretText`: from `encodeSecretKey` or `lockSecretKey`. Never
 * overwrites: an existing file is `EEXIST`, because a private key lost is every file to it lost.
 */
export async function writeKeyFile(
  crypto: SealCrypto,
  path: string,
  key: PublicKey,
  secretText: string,
): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(encodeKeyFile(crypto, key, secretText));
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * The private keys of a key file. `passphrase` is asked for only where a key is locked. Throws {@link SealError} as
 * `decodeKeyFile` does, also `key_malformed` where others may read the file (not on Windows, which has no such bits).
 */
export async function readKeyFile(
  crypto: SealCrypto,
  path: string,
  passphrase: (() => string) | null = null,
): Promise<readonly SecretKey[]> {
  const { mode } = await stat(path);
  if (process.platform !== 'win32' && (mode & OTHERS_BITS) !== 0) {
    const seen = (mode & 0o777).toString(8).padStart(4, '0');
    throw new SealError('key_malformed', `expected a key file only its owner can read (0600), got ${seen}`);
  }
  return decodeKeyFile(crypto, await readFile(path, 'utf8'), passphrase);
}
