import { join } from 'node:path';
import type { SealOptions, UnsealOptions } from '#sdk/node';
import { credentialFolder } from '#sdk/node';
import { UsageError } from './exit-codes.ts';
import type { OptionSpecs, Parsed } from './options.ts';
import { listOption, textOption } from './options.ts';
import { passphraseFor } from './passphrase.ts';
import type { Terminal } from './terminal.ts';

const PASSPHRASE_FILE = {
  type: 'string',
  value: 'FILE',
  help: 'holds the passphrase of a locked key (or FUSELINK_PASSPHRASE_FILE)',
} as const;
const ACCEPT_NEW_KEY = {
  type: 'boolean',
  help: 'take a key that is another one than before; compare its words first',
} as const;

export const SEAL_OPTIONS = {
  to: {
    type: 'string',
    multiple: true,
    value: 'WHO',
    help: 'seal to an address of the directory, or to a public key; may be repeated',
  },
  seal: { type: 'boolean', help: 'seal to the link: its key stands behind the #, which no server sees' },
  sign: { type: 'boolean', help: 'sign what is sealed with the signing key of this device' },
  'signing-key': { type: 'string', value: 'FILE', help: 'sign with the key in FILE' },
  'accept-new-key': ACCEPT_NEW_KEY,
  'passphrase-file': PASSPHRASE_FILE,
} as const satisfies OptionSpecs;

export const UNSEAL_OPTIONS = {
  identity: {
    type: 'string',
    short: 'i',
    multiple: true,
    value: 'FILE',
    help: 'key file of the recipient: open what is sealed to it',
  },
  signed: { type: 'boolean', help: 'refuse what is not signed' },
  'signed-by': {
    type: 'string',
    multiple: true,
    value: 'WHO',
    help: 'refuse what was not signed by this device (name, id) or key (fuselink_verify1_…)',
  },
  'accept-new-key': ACCEPT_NEW_KEY,
  'passphrase-file': PASSPHRASE_FILE,
} as const satisfies OptionSpecs;

/** Where `keygen` puts keys and `--sign` and `keygen --show` look for them. */
export function keyFileOf(terminal: Terminal, purpose: 'recipient' | 'signer'): string {
  return join(credentialFolder(terminal.env), purpose === 'signer' ? 'signing.key' : 'recipient.key');
}

/** How `send` seals; undefined: not at all. Throws UsageError for what contradicts itself. */
export async function sealOptions(parsed: Parsed, terminal: Terminal): Promise<SealOptions | undefined> {
  const to = listOption(parsed, 'to');
  const seal = parsed.values['seal'] === true;
  const signing = textOption(parsed, 'signing-key');
  const sign = signing ?? (parsed.values['sign'] === true ? keyFileOf(terminal, 'signer') : undefined);
  if (to.length > 0 && seal) {
    throw new UsageError('--seal and --to exclude each other: a link that opens the file makes recipients pointless');
  }
  if (to.length === 0 && !seal) {
    if (sign !== undefined) throw new UsageError('--sign signs what is sealed: add --to WHO or --seal');
    return undefined;
  }
  return {
    to: seal ? 'link' : to,
    sign,
    passphrase: sign === undefined ? undefined : await passphraseFor([sign], parsed, terminal),
    acceptNewKeys: parsed.values['accept-new-key'] === true,
  };
}

/** How `receive` opens what is sealed; undefined: only what the link itself opens. */
export async function unsealOptions(parsed: Parsed, terminal: Terminal): Promise<UnsealOptions | undefined> {
  const identities = listOption(parsed, 'identity');
  const signedBy = listOption(parsed, 'signed-by');
  const signed = parsed.values['signed'] === true;
  if (identities.length === 0 && signedBy.length === 0 && !signed) return undefined;
  return {
    identities,
    signed,
    signedBy: signedBy.length === 0 ? undefined : signedBy,
    passphrase: await passphraseFor(identities, parsed, terminal),
    acceptNewKeys: parsed.values['accept-new-key'] === true,
  };
}
