import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { FuselinkError, systemCode } from '../errors.ts';
import type { WritePiece } from '../http/transport.ts';
import type { Source } from './source.ts';
import { PIECE_BYTES } from './source.ts';

/** What a file must still be to count as unchanged. Text, because inode and mtime need more than 53 bits. */
export interface FileIdentity {
  size: string;
  mtimeNs: string;
  inode: string;
}

export interface FileSource extends Source {
  readonly identity: FileIdentity;
}

export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.inode === b.inode;
}

/** A file error in our codes; the path is the caller's own and may be named. */
export function sourceError(error: unknown, path: string): FuselinkError {
  if (error instanceof FuselinkError) return error;
  const code = systemCode(error);
  const missing = code === 'ENOENT' || code === 'ENOTDIR';
  const text = error instanceof Error ? error.message : String(error);
  return new FuselinkError(missing ? 'source_missing' : 'source_unreadable', `${path}: ${text}`, { cause: error });
}

interface Opened {
  handle: FileHandle;
  identity: FileIdentity;
  sizeBytes: number;
}

async function openRegular(path: string): Promise<Opened> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(path, 'r');
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile()) {
      const kind = stat.isDirectory() ? 'a folder' : 'not a regular file';
      throw new FuselinkError('source_unreadable', `${path}: expected a file, got ${kind}`);
    }
    const identity = { size: String(stat.size), mtimeNs: String(stat.mtimeNs), inode: `${stat.dev}:${stat.ino}` };
    return { handle, identity, sizeBytes: Number(stat.size) };
  } catch (error) {
    await handle?.close();
    throw sourceError(error, path);
  }
}

/**
 * A regular file, read in two pieces of memory whatever its size. Its digest grows with the first reading of each
 * byte, so that a resumed or repeated part is read from the disk again but hashed once.
 */
export async function fileSource(path: string): Promise<FileSource> {
  let opened = await openRegular(path);
  let hash: Hash = createHash('sha256');
  let hashedBytes = 0;
  let snapshot: Uint8Array | null = null;
  const pieces = [Buffer.allocUnsafeSlow(PIECE_BYTES), Buffer.allocUnsafeSlow(PIECE_BYTES)];

  async function readInto(piece: Buffer, at: number, end: number): Promise<Buffer> {
    try {
      const wanted = Math.min(piece.length, end - at);
      const { bytesRead } = await opened.handle.read(piece, 0, wanted, at);
      if (bytesRead === 0) throw new FuselinkError('source_changed', `${path}: ends at byte ${at}, expected ${end}`);
      return piece.subarray(0, bytesRead);
    } catch (error) {
      throw sourceError(error, path);
    }
  }

  function hashNew(bytes: Uint8Array, at: number): void {
    const end = at + bytes.byteLength;
    if (at > hashedBytes || end <= hashedBytes) return;
    hash.update(bytes.subarray(hashedBytes - at));
    hashedBytes = end;
  }

  async function hashUpTo(end: number): Promise<void> {
    while (hashedBytes < end) hashNew(await readInto(pieces[0] as Buffer, hashedBytes, end), hashedBytes);
  }

  async function changedTo(): Promise<number | null> {
    const stat = await opened.handle.stat({ bigint: true });
    const same = String(stat.size) === opened.identity.size && String(stat.mtimeNs) === opened.identity.mtimeNs;
    return same ? null : Number(stat.size);
  }

  function forget(): void {
    hash = createHash('sha256');
    hashedBytes = 0;
    snapshot = null;
  }

  return {
    get sizeBytes() {
      return opened.sizeBytes;
    },
    get identity() {
      return opened.identity;
    },
    replayable: true,
    async whole() {
      if (snapshot !== null) return snapshot;
      const bytes = Buffer.alloc(opened.sizeBytes);
      let at = 0;
      while (at < bytes.length) at += (await readInto(bytes.subarray(at), at, bytes.length)).length;
      hashNew(bytes, 0);
      snapshot = bytes;
      return bytes;
    },
    async prepare(offsetBytes, bytesMax) {
      const left = opened.sizeBytes - offsetBytes;
      return { bytes: bytesMax === null ? left : Math.min(left, bytesMax), sizeBytes: opened.sizeBytes };
    },
    async send(offsetBytes, count, write: WritePiece) {
      const end = offsetBytes + count;
      await hashUpTo(offsetBytes);
      let at = offsetBytes;
      let turn = 0;
      let written: Promise<void> | null = null;
      // Read the next piece while the last one is written; a piece's memory is used again when its write is through.
      while (at < end) {
        const piece = await readInto(pieces[turn] as Buffer, at, end).catch(async (error: unknown) => {
          await written?.catch(() => {});
          throw error;
        });
        hashNew(piece, at);
        await written;
        written = write(piece);
        // Its failure is met at the next await; until then it must not count as unhandled.
        written.catch(() => {});
        at += piece.length;
        turn = 1 - turn;
      }
      await written;
    },
    changedTo,
    async digest() {
      await hashUpTo(opened.sizeBytes);
      return hash.copy().digest('hex');
    },
    async reopen() {
      const next = await openRegular(path);
      await opened.handle.close();
      opened = next;
      forget();
    },
    close: () => opened.handle.close(),
  };
}
