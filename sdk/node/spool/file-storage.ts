import { closeSync, fdatasync, fsync, lstatSync, opendirSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SpoolFault, SpoolOperation, SpoolStorage } from '#sdk/core';

const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);

/** Files kept open for writing: the growing segment of each lane and the two snapshots. */
const HANDLES_MAX = 16;

/** What of `node:fs` a storage writes with: where tests put a full disk or a failing sync. */
export interface SpoolFileSystem {
  open(path: string, flags: string, mode: number): Promise<FileHandle>;
  write(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void>;
  sync(handle: FileHandle): Promise<void>;
  remove(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
}

export const nodeFileSystem: SpoolFileSystem = {
  open,
  async write(handle, bytes, at) {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
  },
  sync: (handle) => syncData(handle.fd),
  remove: (path) => rm(path, { force: true }),
  async syncFolder(path) {
    if (process.platform === 'win32') return;
    const descriptor = openSync(path, 'r');
    try {
      await syncAll(descriptor);
    } finally {
      closeSync(descriptor);
    }
  },
};

export interface FileSpoolStorage extends SpoolStorage {
  /** Closes what is open. Nothing may be under way. */
  close(): Promise<void>;
}

/**
 * One block for all reads of all spools, which end before anything else runs: a new one each time would grow the process by
 * what the collector has not noticed yet, and one a spool is 64 KB for each of a gateway's thousand.
 */
let block = new Uint8Array(65536);

/** A spool's storage in a folder that exists. Files are made 0600. */
export function fileSpoolStorage(folder: string, fileSystem: SpoolFileSystem = nodeFileSystem): FileSpoolStorage {
  /** In the order of last use. */
  const handles = new Map<string, FileHandle>();

  const forget = async (name: string) => {
    const handle = handles.get(name);
    handles.delete(name);
    await handle?.close();
  };
  const handleOf = async (name: string, flags: 'r+' | 'create') => {
    let handle = handles.get(name);
    if (handle) handles.delete(name);
    else {
      const path = join(folder, name);
      handle = await fileSystem.open(path, 'r+', 0o600).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT' || flags !== 'create') throw error;
        return fileSystem.open(path, 'wx+', 0o600);
      });
    }
    handles.set(name, handle);
    for (const [oldest] of handles) {
      if (handles.size <= HANDLES_MAX) break;
      await forget(oldest);
    }
    return handle;
  };
  const performOne = async (operation: SpoolOperation) => {
    if (operation.op === 'write') {
      await fileSystem.write(await handleOf(operation.name, 'create'), operation.bytes, operation.at);
    } else if (operation.op === 'sync') {
      await fileSystem.sync(await handleOf(operation.name, 'r+'));
      if (operation.folder) await fileSystem.syncFolder(folder);
    } else {
      await forget(operation.name);
      await fileSystem.remove(join(folder, operation.name));
    }
  };
  const performAll = async (operations: SpoolOperation[]): Promise<SpoolFault | null> => {
    for (const [at, operation] of operations.entries()) {
      try {
        await performOne(operation);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? String(error);
        const kind = code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'io';
        // Its descriptor may be what is broken.
        await forget(operation.name).catch(() => {});
        return { kind, at, detail: `${code} on ${operation.op} of ${operation.name}` };
      }
    }
    return null;
  };
  return {
    list: (found) => {
      const entries = opendirSync(folder);
      try {
        for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
          const stats = lstatSync(join(folder, entry.name));
          if (stats.isFile()) found(entry.name, stats.size);
        }
      } finally {
        entries.closeSync();
      }
    },
    read: (name, from, length) => {
      let descriptor: number;
      try {
        descriptor = openSync(join(folder, name), 'r');
      } catch {
        return null;
      }
      try {
        if (block.length < length) block = new Uint8Array(length);
        let done = 0;
        for (let got = -1; done < length && got !== 0; done += got) {
          got = readSync(descriptor, block, done, length - done, from + done);
        }
        return block.subarray(0, done);
      } catch {
        return null;
      } finally {
        closeSync(descriptor);
      }
    },
    perform: (operations, done) => {
      void performAll(operations).then(done);
    },
    close: async () => {
      for (const name of [...handles.keys()]) await forget(name);
    },
  };
}
