import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { link, lstat, open, rename, rm, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { syncFolder } from '../atomic-file.ts';
import { FuselinkError, systemCode } from '../errors.ts';
import type { OpenedContent } from '../seal/opening-part.ts';
import { safeName } from './safe-name.ts';

const PARTS_MAX = 100;
const READ_BYTES = 262_144;
/** Left free for everything else on the disk. */
const DISK_RESERVE_BYTES = 1_048_576;

export interface Target {
  path: string;
  part: string;
}

/** A file error of the receiving side in our codes. */
export function targetError(error: unknown, path: string): FuselinkError {
  if (error instanceof FuselinkError) return error;
  const code = systemCode(error);
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
  const text = error instanceof Error ? error.message : String(error);
  return new FuselinkError(full ? 'disk_full' : 'target_unwritable', `${path}: ${text}`, {
    cause: error,
    resumable: true,
  });
}

export async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** The file's path: `to` as a folder when it is one or ends in a slash, else as the path itself. */
export async function targetPath(to: string | undefined, filename: string): Promise<string> {
  const given = to ?? '.';
  const found = await stat(given).catch(() => null);
  const folder = found?.isDirectory() || /[/\\]$/.test(given);
  return resolve(folder ? join(given, safeName(filename)) : given);
}

/** Whether the whole, right file lies at `path`. */
export async function holdsFile(path: string, expected: { sizeBytes: number; sha256: string }): Promise<boolean> {
  const found = await lstat(path).catch(() => null);
  if (found === null || !found.isFile() || found.size !== expected.sizeBytes) return false;
  const part = await openPart(path, expected.sizeBytes).catch(() => null);
  if (part === null) return false;
  await part.close();
  return part.digest() === expected.sha256;
}

/** Where the file goes and where it grows. Throws `file_exists` where something is there and may not be replaced. */
export async function chooseTarget(to: string | undefined, filename: string, overwrite: boolean): Promise<Target> {
  const path = await targetPath(to, filename);
  const parent = await stat(dirname(path)).catch((error: unknown) => {
    throw targetError(error, dirname(path));
  });
  if (!parent.isDirectory()) throw new FuselinkError('target_unwritable', `${dirname(path)}: expected a folder`);
  if (!overwrite && (await isThere(path))) throw existsError(path);
  for (let n = 0; n < PARTS_MAX; n++) {
    const part = n === 0 ? `${path}.part` : `${path}.${n}.part`;
    if (!(await isThere(part))) return { path, part };
  }
  throw new FuselinkError('target_unwritable', `${path}: ${PARTS_MAX} unfinished downloads lie beside it`);
}

/** Throws `file_exists` where something is there. */
export async function assertFree(path: string): Promise<void> {
  if (await isThere(path)) throw existsError(path);
}

function existsError(path: string): FuselinkError {
  return new FuselinkError('file_exists', `${path} is there already, and was left as it is`);
}

/** Refuse before the first byte what cannot fit. File systems that tell nothing are believed to have room. */
export async function assertRoom(folder: string, bytes: number): Promise<void> {
  const found = await statfs(folder).catch(() => null);
  if (found === null || found.bavail * found.bsize >= bytes + DISK_RESERVE_BYTES) return;
  const free = found.bavail * found.bsize;
  throw new FuselinkError('disk_full', `${folder}: expected room for ${bytes} bytes, and ${free} are free`, {
    resumable: true,
  });
}

/** The file while it grows: bytes in order, and the digest of all of them. */
export interface Part {
  sizeBytes(): number;
  append(bytes: Uint8Array): Promise<void>;
  /** Start over from byte 0. */
  truncate(): Promise<void>;
  digest(): string;
  /** fsync and close. */
  seal(): Promise<void>;
  close(): Promise<void>;
  /** Of a part that is opened as it grows: what was in it, after `seal`. */
  opened?(): OpenedContent;
}

/** Open a part, reading what is in it already so that its digest is whole. More than `sizeMax` bytes are not ours. */
export async function openPart(path: string, sizeMax: number): Promise<Part> {
  let handle: FileHandle;
  let hash = createHash('sha256');
  let size = 0;
  try {
    handle = await open(path, 'a+', 0o600);
    const memory = Buffer.allocUnsafeSlow(READ_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(memory, 0, memory.length, size);
      if (bytesRead === 0) break;
      hash.update(memory.subarray(0, bytesRead));
      size += bytesRead;
    }
    if (size > sizeMax) await truncate();
  } catch (error) {
    throw targetError(error, path);
  }
  async function truncate(): Promise<void> {
    await handle.truncate(0);
    hash = createHash('sha256');
    size = 0;
  }
  return {
    sizeBytes: () => size,
    async append(bytes) {
      try {
        await handle.appendFile(bytes);
      } catch (error) {
        throw targetError(error, path);
      }
      hash.update(bytes);
      size += bytes.byteLength;
    },
    truncate,
    digest: () => hash.copy().digest('hex'),
    async seal() {
      await handle.sync();
      await handle.close();
    },
    close: () => handle.close(),
  };
}

/**
 * Give the finished part its name, durably. Without `overwrite` by a hard link, which fails where a file has appeared
 * meanwhile instead of replacing it; file systems without hard links are asked first and renamed.
 */
export async function settle(target: Target, overwrite: boolean): Promise<void> {
  try {
    if (overwrite) await rename(target.part, target.path);
    else {
      try {
        await link(target.part, target.path);
        await unlink(target.part);
      } catch (error) {
        const code = systemCode(error);
        if (code === 'EEXIST') throw existsError(target.path);
        if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code)) throw error;
        if (await isThere(target.path)) throw existsError(target.path);
        await rename(target.part, target.path);
      }
    }
    await syncFolder(dirname(target.path));
  } catch (error) {
    throw targetError(error, target.path);
  }
}

export async function removePart(target: Target): Promise<void> {
  await rm(target.part, { force: true });
}
