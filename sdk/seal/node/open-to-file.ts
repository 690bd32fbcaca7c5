import { randomBytes } from 'node:crypto';
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SealCrypto } from '../crypto/port.ts';
import { type ByteSource, openAll } from '../iterables.ts';
import { createOpener, type Opener } from '../opener.ts';
import type { OpenReport, OpenRequest } from '../opening.ts';

/** Where an opened file goes. */
export interface OpenToFileRequest extends OpenRequest {
  /** The final path. Its folder must exist. Nothing is there under this name until the file is whole and verified. */
  readonly path: string;
  /** Whether an existing file may be replaced; by default that is an error (`EEXIST`), found before anything is read. */
  readonly replace?: boolean;
}

/** Writes all of `bytes`: a short write (full disk, signal) is continued, not taken for success. */
async function writeAll(file: Pick<FileHandle, 'write'>, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at);
    at += bytesWritten;
  }
}

/**
 * Writes all that an opener releases. A source that is not read to its end is closed (a socket must not stay open
 * because a disk is full). Throws what the opener, the source and the file throw.
 */
export async function writeOpened(
  file: Pick<FileHandle, 'write'>,
  opener: Opener,
  sealed: ByteSource,
): Promise<OpenReport> {
  const pieces = openAll(opener, sealed);
  let whole = false;
  try {
    for (;;) {
      const next = await pieces.next();
      if (next.done === true) {
        whole = true;
        return next.value;
      }
      await writeAll(file, next.value);
    }
  } finally {
    if (!whole) await pieces.return(undefined as never);
  }
}

/** Makes the rename itself durable. Windows cannot open folders; there rename is as durable as it gets. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** What file systems without hard links (FAT, some network shares) answer to `link`. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

function codeOf(error: unknown): string {
  return (error as { readonly code?: string }).code ?? '';
}

/** Gives the finished file its name in one step. Without `replace` an existing file wins, even one made this instant (`EEXIST`). */
async function publish(aside: string, path: string, replace: boolean): Promise<void> {
  if (!replace) {
    try {
      await link(aside, path);
      await rm(aside);
      return;
    } catch (error) {
      if (!NO_LINKS.includes(codeOf(error))) throw error;
    }
    const placeholder = await open(path, 'wx', 0o600);
    await placeholder.close();
  }
  await rename(aside, path);
}

/** Fails with `EEXIST` at once where the name is taken, rather than after gigabytes. */
async function expectFree(path: string): Promise<void> {
  try {
    await lstat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  throw Object.assign(new Error('EEXIST: expected a free name for the opened file, got an existing one'), {
    code: 'EEXIST',
    path,
  });
}

/**
 * Opens a sealed source into a file: written aside under a random name in the same folder (mode 0600), and renamed to
 * `path` only when every chunk was authentic, the file was whole and its signature held; then file and folder are
 * synced. On any failure, of the source too, nothing of it is left behind and an existing file is as it was.
 * Throws {@link SealError}, the source's errors, and those of the file system.
 */
export async function openToFile(
  crypto: SealCrypto,
  sealed: ByteSource,
  request: OpenToFileRequest,
): Promise<OpenReport> {
  const { path } = request;
  const replace = request.replace === true;
  if (!replace) await expectFree(path);
  const aside = join(dirname(path), `.fuselink-${randomBytes(8).toString('hex')}.part`);
  let published = false;
  try {
    const file = await open(aside, 'wx', 0o600);
    let report: OpenReport;
    try {
      report = await writeOpened(file, createOpener(crypto, request), sealed);
      await file.sync();
    } finally {
      await file.close();
    }
    await publish(aside, path, replace);
    published = true;
    await syncFolder(dirname(path));
    return report;
  } finally {
    if (!published) await rm(aside, { force: true });
  }
}
