import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SpoolError } from './spool-error.ts';

const LOCK_NAME = 'lock';

/** The kernel's id of this boot, where there is one: a process id of another boot means nothing. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

function isAlive(owner: string): boolean {
  const [pid = '', boot = ''] = owner.trim().split(' ');
  if (!/^[0-9]+$/.test(pid) || boot !== bootId()) return false;
  if (Number(pid) === process.pid) return heldHere.has(owner.trim());
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Locks of this process: after a container restart the same process id may be found in an old lock file. */
const heldHere = new Set<string>();

/**
 * One process a folder: two would write the same segments. A lock whose process is gone (killed, or of another boot)
 * is taken over. Returns how to unlock; throws SpoolError `spool_in_use` naming the process.
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, LOCK_NAME);
  const owner = `${process.pid} ${bootId()} ${folder}`;
  for (let attempt = 0; ; attempt++) {
    try {
      const descriptor = openSync(path, 'wx', 0o600);
      writeSync(descriptor, owner);
      closeSync(descriptor);
      heldHere.add(owner);
      return () => {
        heldHere.delete(owner);
        rmSync(path, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new SpoolError(
          'spool_folder',
          `${folder}: cannot be locked (${(error as NodeJS.ErrnoException).code})`,
          error,
        );
      }
    }
    let other = '';
    try {
      other = readFileSync(path, 'utf8');
    } catch {
      // It was unlocked a moment ago.
    }
    if (attempt > 3 || isAlive(other)) {
      throw new SpoolError('spool_in_use', `${folder}: is in use by process ${other.split(' ')[0] || 'unknown'}`);
    }
    rmSync(path, { force: true });
  }
}
