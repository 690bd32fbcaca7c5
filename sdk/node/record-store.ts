import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from './atomic-file.ts';

/** Records older than this can no longer be resumed anywhere (links live 7 days at most). */
const RECORD_AGE_MS_MAX = 8 * 86_400_000;

/** Small JSON records, a file each, named by the hash of what they are about: the names give nothing away. */
export interface RecordStore<Value> {
  load(name: string): Promise<Value | null>;
  save(name: string, value: Value): Promise<void>;
  remove(name: string): Promise<void>;
  /** Delete what is too old to be of use. */
  prune(nowMs: number): Promise<void>;
}

/** `$FUSELINK_STATE`, else `$XDG_STATE_HOME/fuselink`, else `~/.local/state/fuselink`. */
export function defaultStateFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['FUSELINK_STATE']) return env['FUSELINK_STATE'];
  return join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'fuselink');
}

/** Records in `folder`; a record that cannot be read or does not pass `check` counts as absent. */
export function recordStore<Value>(folder: string, check: (value: unknown) => value is Value): RecordStore<Value> {
  const pathOf = (name: string) => join(folder, `${createHash('sha256').update(name).digest('hex').slice(0, 40)}.json`);
  return {
    async load(name) {
      try {
        const value: unknown = JSON.parse(await readFile(pathOf(name), 'utf8'));
        return check(value) ? value : null;
      } catch {
        return null;
      }
    },
    save: (name, value) => writeFileAtomic(pathOf(name), `${JSON.stringify(value)}\n`),
    remove: (name) => rm(pathOf(name), { force: true }),
    async prune(nowMs) {
      for (const entry of await readdir(folder).catch(() => [])) {
        const path = join(folder, entry);
        const found = await stat(path).catch(() => null);
        if (found?.isFile() && nowMs - found.mtimeMs > RECORD_AGE_MS_MAX) await rm(path, { force: true });
      }
    },
  };
}

/** Which process of which boot holds a record. */
export interface Owner {
  pid: number;
  boot: string;
}

let bootId: string | null = null;

/** The kernel's id of this boot, or '' where it has none: tells a reused pid from the same process. */
export function currentBoot(): string {
  if (bootId === null) {
    try {
      bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    } catch {
      bootId = '';
    }
  }
  return bootId;
}

/** Whether `owner` is another process that still runs. */
export function heldByAnother(owner: Owner): boolean {
  if (owner.pid === process.pid || owner.boot !== currentBoot()) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
  return !isZombie(owner.pid);
}

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Number of records in `folder` (for `doctor`). */
export function countRecords(folder: string): number {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json')).length;
  } catch {
    return 0;
  }
}
