import { createHash, type Hash } from 'node:crypto';
import type { WritePiece } from '../http/transport.ts';
import type { Source } from '../send/source.ts';
import { type SealLibrary, sealError } from './library.ts';

type SealRequest = Parameters<SealLibrary['openSealedSource']>[2];
type Opened = Awaited<ReturnType<SealLibrary['openSealedSource']>>;

/** A source of sealed bytes, and what opens them where that is the link. */
export interface SealedSource extends Source {
  /** The fragment of the link, once it is known what was sent; null for files sealed to recipients. A secret. */
  fragment(): string | null;
}

/**
 * A file sealed as it is sent. A part that is sent again is sealed again and compared: the same bytes, or
 * `source_changed`. Opening it anew (the file changed, the upload was lost) takes a fresh content key: no key ever
 * seals two different contents. Nothing of it outlives the process, so a killed send starts afresh.
 */
export async function sealedFileSource(seal: SealLibrary, path: string, request: SealRequest): Promise<SealedSource> {
  const effects = { crypto: seal.nodeCrypto, random: seal.nodeRandom };
  const open = (): Promise<Opened> =>
    seal.openSealedSource(effects, path, request).catch((error: unknown) => {
      throw sealError(seal, error, path);
    });
  let opened = await open();
  let hash: Hash = createHash('sha256');
  let hashedBytes = 0;
  let snapshot: Uint8Array | null = null;

  function hashNew(bytes: Uint8Array, at: number): void {
    const end = at + bytes.byteLength;
    if (at > hashedBytes || end <= hashedBytes) return;
    hash.update(bytes.subarray(hashedBytes - at));
    hashedBytes = end;
  }

  /** Gives the bytes from `from` to `to` piece by piece; the next piece is sealed while the last one is taken. */
  async function readTo(from: number, to: number, take: (piece: Uint8Array) => Promise<void>): Promise<void> {
    let at = from;
    let taken: Promise<void> | null = null;
    try {
      for await (const sealed of opened.read(from)) {
        const piece = sealed.subarray(0, Math.min(sealed.length, to - at));
        hashNew(piece, at);
        at += piece.length;
        await taken;
        taken = take(piece);
        // Its failure is met at the next await; until then it must not count as unhandled.
        taken.catch(() => {});
        if (at >= to) break;
      }
      await taken;
    } catch (error) {
      await taken?.catch(() => {});
      throw sealError(seal, error, path);
    }
  }

  async function hashUpTo(end: number): Promise<void> {
    if (hashedBytes < end) await readTo(hashedBytes, end, async () => {});
  }

  return {
    get sizeBytes() {
      return opened.sealedBytes;
    },
    replayable: true,
    fragment: () => opened.fragment,
    async whole() {
      if (snapshot !== null) return snapshot;
      const bytes = Buffer.alloc(opened.sealedBytes);
      let at = 0;
      await readTo(0, bytes.length, async (piece) => {
        bytes.set(piece, at);
        at += piece.length;
      });
      snapshot = bytes;
      return bytes;
    },
    async prepare(offsetBytes, bytesMax) {
      const left = opened.sealedBytes - offsetBytes;
      return { bytes: bytesMax === null ? left : Math.min(left, bytesMax), sizeBytes: opened.sealedBytes };
    },
    async send(offsetBytes, count, write: WritePiece) {
      if (count === 0) return;
      await hashUpTo(offsetBytes);
      await readTo(offsetBytes, offsetBytes + count, write);
    },
    async changedTo() {
      const contentBytes = await opened.changedTo();
      return contentBytes === null
        ? null
        : seal.sealedBytesOf({ ...request, contentBytes, modifiedAtMs: 0 }, contentBytes);
    },
    async digest() {
      await hashUpTo(opened.sealedBytes);
      return hash.copy().digest('hex');
    },
    async reopen() {
      const next = await open();
      await opened.close();
      opened = next;
      hash = createHash('sha256');
      hashedBytes = 0;
      snapshot = null;
    },
    close: () => opened.close(),
  };
}
