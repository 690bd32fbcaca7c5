import { constants, type Dir } from 'node:fs';
import { type FileHandle, mkdir, opendir, open as openFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore, BlobWriter } from '../../ports/blob-store.ts';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { checkBlobId, checkByteRange, isBlobId } from '../blob-ids.ts';
import { makeFolderDurably } from '../folders.ts';
import { asFault, isNotFound, missing } from './faults.ts';
import { DiskWriter } from './writer.ts';

/** Bytes of one read; one more is read ahead while the caller works on it. */
const READ_BYTES = 1024 * 1024;
const PROBE_BYTES = 4096;
/** Written by `check`, in the top folder where no blob ever lies. */
const PROBE_NAME = '.probe';

/** How files are opened; tests put faults here. */
export type OpenFile = (path: string, flags: number | string, mode?: number) => Promise<FileHandle>;

/**
 * Blobs as files `<folder>/<c>/<d>/<id>`, c and d being the id's first two characters: 4,096 folders keep each one
 * small up to tens of millions of blobs. Folders have mode 0700, files 0600. `sync` is fdatasync, and fsync of the
 * folders while the file's name is new. Deletion is not flushed: a name that a power cut brings back is the sweep's.
 */
export async function openDiskBlobs(options: { folder: string; open?: OpenFile }): Promise<BlobStore> {
  try {
    makeFolderDurably(options.folder);
  } catch (error) {
    throw asFault(error);
  }
  return new DiskBlobs(options.folder, options.open ?? openFile);
}

class DiskBlobs implements BlobStore {
  readonly #folder: string;
  readonly #open: OpenFile;
  /** Folders whose own names are known to survive a power cut. */
  readonly #durableFolders = new Set<string>();
  /** The writer at work on each blob: a newer one, and deletion, cut it off. */
  readonly #writers = new Map<string, DiskWriter>();
  readonly #queues = new Map<string, Promise<void>>();
  #closed = false;

  constructor(folder: string, open: OpenFile) {
    this.#folder = folder;
    this.#open = open;
  }

  async openWriter(id: string, options: { offset: number }): Promise<BlobWriter> {
    checkBlobId(id);
    checkByteRange(options);
    const { offset } = options;
    this.#refuseClosed();
    return this.#alone(id, async () => {
      await this.#writers.get(id)?.abandon();
      try {
        const file = offset === 0 ? await this.#openNew(id) : await this.#openExisting(id, offset);
        return await this.#writerAt(id, file, offset);
      } catch (error) {
        throw asFault(error);
      }
    });
  }

  /** One opening or deletion of a blob at a time: the older writer's last bytes are down before the newer one cuts them. */
  async #alone<T>(id: string, action: () => Promise<T>): Promise<T> {
    const run = (this.#queues.get(id) ?? Promise.resolve()).then(action);
    const settled = run.then(
      () => undefined,
      () => undefined,
    );
    this.#queues.set(id, settled);
    await settled;
    if (this.#queues.get(id) === settled) this.#queues.delete(id);
    return run;
  }

  async #openNew(id: string): Promise<FileHandle> {
    const flags = constants.O_RDWR | constants.O_CREAT;
    try {
      return await this.#open(this.#pathOf(id), flags, 0o600);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    // Never `recursive`: where the top folder is gone (a disk not mounted), it must not be made anew on another disk.
    await makeFolder(join(this.#folder, id[0] as string));
    await makeFolder(this.#leafOf(id));
    return this.#open(this.#pathOf(id), flags, 0o600);
  }

  async #openExisting(id: string, offset: number): Promise<FileHandle> {
    try {
      return await this.#open(this.#pathOf(id), constants.O_RDWR);
    } catch (error) {
      throw isNotFound(error) ? missing(offset, null) : error;
    }
  }

  async #writerAt(id: string, file: FileHandle, offset: number): Promise<BlobWriter> {
    try {
      const { size } = await file.stat();
      if (size < offset) throw missing(offset, size);
      if (size > offset) await file.truncate(offset);
      const syncName = offset === 0 ? () => this.#syncName(id) : null;
      const forget = (writer: DiskWriter) => void (this.#writers.get(id) === writer && this.#writers.delete(id));
      const writer = new DiskWriter(file, { position: offset, truncated: size > offset, syncName, forget });
      this.#writers.set(id, writer);
      return writer;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async *read(id: string, options: { offset: number; length: number }): AsyncGenerator<Uint8Array> {
    checkBlobId(id);
    checkByteRange(options);
    this.#refuseClosed();
    const file = await this.#openToRead(id, options);
    let ahead: Promise<Uint8Array> | null = null;
    try {
      const end = options.offset + options.length;
      const { size } = await file.stat();
      if (size < end) throw missing(end, size);
      let at = options.offset;
      ahead = at < end ? readPiece(file, at, end) : null;
      while (ahead !== null) {
        const piece: Uint8Array = await ahead;
        at += piece.byteLength;
        ahead = at < end ? readPiece(file, at, end) : null;
        yield piece;
      }
    } catch (error) {
      throw asFault(error);
    } finally {
      // A reader that stops early leaves a read under way: the file must outlive it.
      await ahead?.catch(() => undefined);
      await file.close().catch(() => undefined);
    }
  }

  async #openToRead(id: string, options: { offset: number; length: number }): Promise<FileHandle> {
    try {
      return await this.#open(this.#pathOf(id), constants.O_RDONLY);
    } catch (error) {
      throw isNotFound(error) ? missing(options.offset + options.length, null) : asFault(error);
    }
  }

  async size(id: string): Promise<number | null> {
    checkBlobId(id);
    this.#refuseClosed();
    try {
      return (await stat(this.#pathOf(id))).size;
    } catch (error) {
      if (!isNotFound(error)) throw asFault(error);
    }
    await this.#checkFolder();
    return null;
  }

  async delete(id: string): Promise<void> {
    checkBlobId(id);
    this.#refuseClosed();
    await this.#alone(id, async () => {
      await this.#writers.get(id)?.abandon();
      try {
        await unlink(this.#pathOf(id));
      } catch (error) {
        if (!isNotFound(error)) throw asFault(error);
        await this.#checkFolder();
      }
    });
  }

  async *list(): AsyncGenerator<string> {
    try {
      for await (const first of entries(this.#folder, { mustExist: true })) {
        if (first.name.length !== 1 || !first.isDirectory()) continue;
        for await (const second of entries(join(this.#folder, first.name))) {
          if (second.name.length !== 1 || !second.isDirectory()) continue;
          for await (const file of entries(join(this.#folder, first.name, second.name))) {
            const isOurs = file.isFile() && isBlobId(file.name) && file.name.startsWith(first.name + second.name);
            if (isOurs) yield file.name;
          }
        }
      }
    } catch (error) {
      throw asFault(error);
    }
  }

  async check(): Promise<void> {
    this.#refuseClosed();
    try {
      const file = await this.#open(join(this.#folder, PROBE_NAME), 'w', 0o600);
      try {
        await file.write(new Uint8Array(PROBE_BYTES), 0, PROBE_BYTES, 0);
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      throw asFault(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const writer of [...this.#writers.values()]) await writer.abandon();
    this.#durableFolders.clear();
  }

  #refuseClosed(): void {
    if (this.#closed) throw new StorageUnavailableError('blobs: the store was closed');
  }

  /** Tells "no such blob" from "no store": throws where the top folder is gone. */
  async #checkFolder(): Promise<void> {
    try {
      await stat(this.#folder);
    } catch (error) {
      throw asFault(error);
    }
  }

  async #syncName(id: string): Promise<void> {
    const leaf = this.#leafOf(id);
    const above = this.#durableFolders.has(leaf) ? [] : [join(this.#folder, id[0] as string), this.#folder];
    // Side by side: the file system writes its journal once for all of them.
    await Promise.all([leaf, ...above].map((folder) => this.#syncFolder(folder)));
    this.#durableFolders.add(leaf);
  }

  async #syncFolder(path: string): Promise<void> {
    const folder = await this.#open(path, constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  #leafOf(id: string): string {
    return join(this.#folder, id[0] as string, id[1] as string);
  }

  #pathOf(id: string): string {
    return join(this.#leafOf(id), id);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

async function readPiece(file: FileHandle, at: number, end: number): Promise<Uint8Array> {
  const wanted = Math.min(READ_BYTES, end - at);
  const { bytesRead, buffer } = await file.read(new Uint8Array(wanted), 0, wanted, at);
  if (bytesRead === 0) throw missing(end, at);
  return bytesRead === wanted ? buffer : buffer.subarray(0, bytesRead);
}

/** A folder's entries, read as they are asked for; none where it vanished meanwhile. */
async function* entries(path: string, options: { mustExist?: boolean } = {}): AsyncGenerator<import('node:fs').Dirent> {
  let folder: Dir;
  try {
    folder = await opendir(path);
  } catch (error) {
    if (isNotFound(error) && options.mustExist !== true) return;
    throw error;
  }
  yield* folder;
}
