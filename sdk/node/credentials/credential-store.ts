import { createHash } from 'node:crypto';
import type { ApiKey, CredentialSlots, Nvs, Sha256 } from '#sdk/core';
import { fileNvs, fingerprintOf, formatApiKey, openSlots, parseApiKey } from '#sdk/core';
import { credentialFiles } from './credential-files.ts';
import { Secret } from './secret.ts';

/** The log's name in the folder of credentials. */
export const CREDENTIAL_FILE = 'credentials.nvs';

export const sha256: Sha256 = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());

/**
 * The NVS-style store in `folder/credentials.nvs`. Throws CredentialFileError when the file or folder is open to
 * others, is not a file, or cannot be read; its errors on writing are CredentialFileError and NvsError.
 */
export function openFileNvs(folder: string): Nvs {
  const files = credentialFiles(folder);
  files.read(CREDENTIAL_FILE);
  return fileNvs(files, CREDENTIAL_FILE);
}

/** The two key slots of a device in `folder`. Throws as `openFileNvs`. */
export function openCredentialSlots(folder: string): CredentialSlots {
  return openSlots(openFileNvs(folder), sha256);
}

/** The key as text, wrapped so that it is not shown by accident. */
export function secretOf(key: ApiKey): Secret {
  return new Secret(formatApiKey(key));
}

/** A key from its text, or null when it is in neither form. The text is not kept and enters no message. */
export function keyOfSecret(secret: Secret): ApiKey | null {
  return parseApiKey(secret.reveal());
}

/** 16 hex characters that name a key without telling it. */
export function fingerprint(key: ApiKey): string {
  return fingerprintOf(sha256, key);
}
