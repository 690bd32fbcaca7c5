import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Part } from '../receive/target.ts';
import { targetError } from '../receive/target.ts';
import { type SealLibrary, sealError } from './library.ts';

type OpenRequest = Parameters<SealLibrary['createOpener']>[1];
type Opener = ReturnType<SealLibrary['createOpener']>;

/** What was sealed, once all of it was opened and everything held. */
export interface OpenedContent {
  filename: string | null;
  contentType: string | null;
  sizeBytes: number;
  /** SHA-256 of the content, hex. */
  sha256: string;
  signer: { publicKey: string; fingerprint: string; words: string } | null;
}

/** A part into which sealed bytes go and in which their content grows: only what is authentic is ever written. */
export interface OpeningPart extends Part {
  /** After `seal`. */
  opened(): OpenedContent;
}

/**
 * Opens a download into a file as it comes, with one chunk in memory. `named` is called once the file's own name is
 * known, before any content is written, and may refuse it. `sizeBytes` and `digest` are of the sealed bytes, as the
 * server counts them; a download that breaks goes on where it was, and one that begins again starts a new opener.
 */
export async function openingPart(
  seal: SealLibrary,
  path: string,
  request: OpenRequest,
  named: (filename: string | null) => Promise<void>,
): Promise<OpeningPart> {
  const handle = await open(path, 'wx', 0o600).catch((error: unknown) => {
    throw targetError(error, path);
  });
  let opener: Opener;
  let sealedHash: Hash;
  let contentHash: Hash;
  let sealedBytes = 0;
  let contentBytes = 0;
  let nameSeen = false;
  let result: OpenedContent | null = null;

  function begin(): void {
    opener = seal.createOpener(seal.nodeCrypto, request);
    sealedHash = createHash('sha256');
    contentHash = createHash('sha256');
    sealedBytes = 0;
    contentBytes = 0;
  }
  begin();

  async function write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      contentHash.update(piece);
      try {
        for (let at = 0; at < piece.length; ) {
          const { bytesWritten } = await handle.write(piece, at, piece.length - at, contentBytes);
          at += bytesWritten;
          contentBytes += bytesWritten;
        }
      } catch (error) {
        throw targetError(error, path);
      }
    }
  }

  function guarded<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw sealError(seal, error, 'the sealed file cannot be opened');
    }
  }

  return {
    sizeBytes: () => sealedBytes,
    async append(bytes) {
      const pieces = guarded(() => opener.push(bytes));
      sealedHash.update(bytes);
      sealedBytes += bytes.byteLength;
      const { manifest } = opener;
      if (manifest !== null && !nameSeen) {
        nameSeen = true;
        await named(manifest.name);
      }
      await write(pieces);
    },
    async truncate() {
      await handle.truncate(0);
      begin();
    },
    digest: () => sealedHash.copy().digest('hex'),
    async seal() {
      const { released, report } = guarded(() => opener.finish());
      const { manifest, signer } = report;
      if (!nameSeen) await named(manifest.name);
      await write(released);
      await handle.sync();
      await handle.close();
      const print = signer === null ? null : seal.fingerprint(seal.nodeCrypto, signer);
      result = {
        filename: manifest.name,
        contentType: manifest.mediaType,
        sizeBytes: contentBytes,
        sha256: contentHash.digest('hex'),
        signer:
          signer === null || print === null
            ? null
            : {
                publicKey: seal.encodePublicKey(seal.nodeCrypto, signer),
                fingerprint: Buffer.from(print.bytes).toString('hex'),
                words: print.words,
              },
      };
    },
    close: () => handle.close(),
    opened() {
      if (result === null) throw new Error('what was sealed is known at its end');
      return result;
    },
  };
}
