import type { UnsealOptions } from '../api.ts';
import { FuselinkError, optionInvalid } from '../errors.ts';
import type { Directory } from './directory.ts';
import { type SealLibrary, sealError } from './library.ts';
import { type OpeningPart, openingPart } from './opening-part.ts';
import { readKeys } from './send-sealed.ts';

/** What opens a sealed download. */
export interface Unsealing {
  openPart(path: string, named: (filename: string | null) => Promise<void>): Promise<OpeningPart>;
}

/**
 * The keys and rules of one read: the link's fragment, the recipient's key files, whose signature is asked for. All is
 * read and checked before the link is claimed, so that a wrong key or a cut link costs nothing.
 */
export async function createUnsealing(
  seal: SealLibrary,
  given: {
    fragment: string | null;
    options: UnsealOptions;
    directory: Directory | null;
    signal?: AbortSignal | undefined;
  },
): Promise<Unsealing> {
  const { fragment, options } = given;
  const identities: Awaited<ReturnType<typeof readKeys>>[number][] = [];
  for (const path of options.identities ?? []) {
    const keys = await readKeys(seal, path, options.passphrase);
    identities.push(...keys.filter((key) => key.purpose === 'recipient'));
    if (identities.length === 0)
      throw new FuselinkError('key_missing', `${path}: expected a recipient's key, got another`);
  }
  const contentKey = fragment === null ? null : contentKeyOf(seal, fragment);
  const trusted = await trustedSigners(seal, given);
  const signature = { required: options.signedBy !== undefined || options.signed === true, trusted };
  return {
    openPart: (path, named) => openingPart(seal, path, { identities, contentKey, signature }, named),
  };
}

function contentKeyOf(seal: SealLibrary, fragment: string): Uint8Array {
  try {
    return seal.decodeFragment(seal.nodeCrypto, fragment);
  } catch (error) {
    throw sealError(seal, error, 'the link');
  }
}

async function trustedSigners(
  seal: SealLibrary,
  given: { options: UnsealOptions; directory: Directory | null; signal?: AbortSignal | undefined },
) {
  const { options, directory, signal } = given;
  if (options.signedBy === undefined) return null;
  const trusted = [];
  for (const who of options.signedBy) {
    if (seal.keyTextKind(who) !== null) {
      try {
        trusted.push(seal.decodePublicKey(seal.nodeCrypto, 'signer', who));
      } catch (error) {
        throw sealError(seal, error, 'signedBy');
      }
      continue;
    }
    if (directory === null) {
      throw optionInvalid(
        'signedBy is expected as keys (fuselink_verify1_…), or as device names with a client that has a server and a key',
      );
    }
    const how = { acceptNewKey: options.acceptNewKeys === true, signal, giveUpAfterMs: 60_000 };
    trusted.push(await directory.signer(who, how));
  }
  if (trusted.length === 0) throw optionInvalid('signedBy is expected with one signer or more');
  return trusted;
}
