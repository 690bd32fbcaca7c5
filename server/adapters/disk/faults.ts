import { BlobMissingError, StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';

const FULL: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'no room on the disk'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EFBIG', 'the file system cannot hold a file this large'],
]);

const UNAVAILABLE: ReadonlyMap<string, string> = new Map([
  ['EROFS', 'the file system is read-only'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EIO', 'the disk reports an input/output error'],
  ['ENOENT', 'the data folder is gone'],
  ['ENOTDIR', 'the data folder is not a folder'],
  ['EMFILE', 'too many open files'],
  ['ENFILE', 'too many open files'],
]);

/** The port's fault for an error of the file system; any other error as it is. Messages name no path. */
export function asFault(error: unknown): unknown {
  const { code } = (error ?? {}) as { code?: unknown };
  if (typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error;
  const full = FULL.get(code);
  if (full !== undefined) return new StorageFullError(`blobs: ${full} (${code})`, { cause: error });
  const reason = UNAVAILABLE.get(code) ?? 'the file system failed';
  return new StorageUnavailableError(`blobs: ${reason} (${code})`, { cause: error });
}

export function isNotFound(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ENOENT';
}

export function missing(expectedBytes: number, foundBytes: number | null): BlobMissingError {
  const found = foundBytes === null ? 'no blob' : `${foundBytes}`;
  return new BlobMissingError(`blobs: expected at least ${expectedBytes} stored bytes, came ${found}`);
}
