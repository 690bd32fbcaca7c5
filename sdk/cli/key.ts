import { credentialFolder, storedKey } from '#sdk/node';
import type { Parsed } from './options.ts';
import { givenKey } from './options.ts';
import type { Terminal } from './terminal.ts';

/** The key for a command: as given, else from the credential store (asked anew for each request: it may rotate). */
export function keyFor(parsed: Parsed, terminal: Terminal): string | (() => string) {
  return givenKey(parsed, terminal) ?? (() => storedKey(credentialFolder(terminal.env)));
}
