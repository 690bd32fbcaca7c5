import { credentialFolder, storedKey } from '#sdk/node';
import type { Parsed } from './options.ts';
import { givenKey } from './options.ts';
import type { Terminal } from './terminal.ts';

/** The key for a command that only looks: as given, else from the credential store. */
export function keyFor(parsed: Parsed, terminal: Terminal): string | (() => string) {
  return givenKey(parsed, terminal) ?? (() => storedKey(credentialFolder(terminal.env)));
}

/** What a command sends with: the key as given, else the credential store, whose key is rotated as the server wants it. */
export function credentialsFor(parsed: Parsed, terminal: Terminal): { key: string } | { store: string } {
  const key = givenKey(parsed, terminal);
  return key === null || key === undefined ? { store: credentialFolder(terminal.env) } : { key };
}
