import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  folder: string;
  /** Gives it another size, with what is on it. */
  grow(bytes: number): Promise<void>;
  unmount(): Promise<void>;
}

/** A folder on a file system of its own that holds `bytes` bytes; null where this user may not mount one. */
export async function mountSmallDisk(bytes: number): Promise<SmallDisk | null> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'fuselink-test', folder]);
  } catch {
    await rm(folder, { recursive: true, force: true });
    return null;
  }
  return {
    folder,
    async grow(size) {
      await run('mount', ['-o', `remount,size=${size}`, folder]);
    },
    async unmount() {
      await run('umount', ['--lazy', folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs `action` as a user without rights, so that file modes mean something also to tests run by root. */
export async function withoutRootRights<T>(action: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0 || process.seteuid === undefined) return action();
  const nobody = 65_534;
  process.seteuid(nobody);
  try {
    return await action();
  } finally {
    process.seteuid(0);
  }
}
