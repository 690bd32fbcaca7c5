import {
  createOpener,
  decodeFragment,
  fingerprint,
  nobleCrypto,
  type Opener,
  portableFileName,
  type SubtleAesGcm,
  SubtleOpener,
} from '#sdk/seal';

/** What was in a sealed file, once all of it was opened and held. */
export interface Unsealed {
  /** The file's own name, fit for a disk; null where it has none. */
  name: string | null;
  bytes: number;
  /** Of the key that signed it, in words; null where it is not signed. */
  signedBy: string | null;
}

/** Opens one download, from its first byte on. */
export interface Unsealer {
  /** Takes the next bytes; gives the content they complete, all of it authentic. Rejects with a `SealError`. */
  push(sealed: Uint8Array): Promise<Uint8Array[]>;
  /** The file has ended: its last content, and what is known of it now that it is known to be whole. */
  finish(): Promise<{ pieces: Uint8Array[]; unsealed: Unsealed }>;
}

/** WebCrypto, which pages have on HTTPS and on this machine only; elsewhere the bundled code opens, slower. */
function webCrypto(): SubtleAesGcm | null {
  const { subtle } = globalThis.crypto as { subtle?: unknown };
  return subtle === undefined ? null : (subtle as SubtleAesGcm);
}

/**
 * What opens a file that is sealed to its link. `fragment`: of the link, with or without `#`. Throws a `SealError` for one that was
 * cut or mistyped, before anything is asked of the server. Call the returned function once for each download that
 * begins at the first byte.
 */
export function unsealerOf(fragment: string): () => Unsealer {
  const contentKey = decodeFragment(nobleCrypto, fragment);
  const subtle = webCrypto();
  return () => {
    const opener: Opener | SubtleOpener =
      subtle === null
        ? createOpener(nobleCrypto, { contentKey })
        : new SubtleOpener(subtle, nobleCrypto, { contentKey });
    return {
      push: async (sealed) => opener.push(sealed),
      async finish() {
        const { released, report } = await opener.finish();
        const { name } = report.manifest;
        return {
          pieces: released,
          unsealed: {
            name: name === null ? null : portableFileName(name),
            bytes: report.contentBytes,
            signedBy: report.signer === null ? null : fingerprint(nobleCrypto, report.signer).words,
          },
        };
      },
    };
  };
}
