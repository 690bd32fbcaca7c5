import { homedir } from 'node:os';
import { join } from 'node:path';
import { formatApiKey } from '#sdk/core';
import { openCredentialSlots } from './credentials/index.ts';
import { FuselinkError } from './errors.ts';

/** Folder of the credential store: `$FUSELINK_CREDENTIALS`, else `$XDG_CONFIG_HOME/fuselink`, else `~/.config/fuselink`. */
export function credentialFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['FUSELINK_CREDENTIALS']) return env['FUSELINK_CREDENTIALS'];
  return join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'fuselink');
}

/** The settled key of the store in `folder`, as text: the secret itself. Throws `key_missing` when there is none. */
export function storedKey(folder: string): string {
  const { base } = openCredentialSlots(folder).look();
  if (base === null) throw new FuselinkError('key_missing', `there is no API key in the credential store ${folder}`);
  return formatApiKey(base.key);
}
