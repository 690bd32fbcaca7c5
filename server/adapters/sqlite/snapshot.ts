import { closeSync, existsSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder } from '../folders.ts';
import { loadSqlite } from './driver.ts';

/**
 * A consistent copy of a SQLite database as it stands at one moment, while servers go on writing to it. `to` must not
 * exist; it is made with mode 0600, checked and flushed. Throws where either file is not what it should be, and leaves nothing.
 */
export async function snapshotDatabase(from: string, to: string): Promise<void> {
  if (!existsSync(from)) throw new Error(`${from}: expected a database, found no such file`);
  if (existsSync(to)) throw new Error(`${to}: expected a name that is not taken, found a file`);
  const Database = await loadSqlite();
  // Made beforehand, empty, so that nobody else may read it for even a moment: VACUUM INTO accepts an empty file.
  closeSync(openSync(to, 'wx', 0o600));
  try {
    const source = new Database(from);
    try {
      source.exec('PRAGMA busy_timeout = 10000');
      source.prepare('VACUUM INTO ?').run(to);
    } finally {
      source.close();
    }
    const copy = new Database(to);
    try {
      const found = copy.prepare('PRAGMA integrity_check').get() as { integrity_check: string };
      if (found.integrity_check !== 'ok')
        throw new Error(`${to}: expected a sound copy, found ${found.integrity_check}`);
    } finally {
      copy.close();
    }
    const file = openSync(to, 'r+');
    fsyncSync(file);
    closeSync(file);
    syncFolder(dirname(to));
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  }
}
