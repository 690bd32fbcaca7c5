import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolderDurably, syncFolder } from './adapters/folders.ts';
import { snapshotDatabase } from './adapters/sqlite/snapshot.ts';
import type { ServerSettings } from './settings.ts';
import { type SettledRestore, settleRestored } from './usecases/backup/settle-restored.ts';
import type { Deps } from './usecases/deps.ts';
import { wire } from './wiring.ts';

function sqlitePath(settings: ServerSettings): string {
  if (settings.metadata.kind === 'sqlite') return settings.metadata.path;
  throw new Error(
    `expected FUSELINK_METADATA=sqlite:, got ${settings.metadata.kind}: back PostgreSQL up with pg_dump, and settle what pg_restore brought back with "restore --in-place"`,
  );
}

/** Copies the metadata to `file`, whether a server runs on it or not. Sealed files and the keyring are not part of it. */
export async function backUp(settings: ServerSettings, file: string): Promise<void> {
  await snapshotDatabase(sqlitePath(settings), file);
}

/**
 * Puts a backup in the place of a database that is gone. It is settled aside and gets its name last: whatever cuts this
 * short, no server ever finds a database in which ended things are alive.
 */
export async function restore(
  settings: ServerSettings,
  file: string,
  options: { nothingEnded: boolean; warn: Deps['warn'] },
): Promise<SettledRestore> {
  const path = sqlitePath(settings);
  if (existsSync(path)) {
    throw new Error(
      `${path}: expected no database where the backup is to go, found one. Stop the server and move it (and its -wal and -shm) away first.`,
    );
  }
  makeFolderDurably(dirname(path));
  const aside = `${path}.restoring`;
  const settled = `${path}.settled`;
  clear(aside, settled);
  await snapshotDatabase(file, aside);
  const report = await settleInPlace({ ...settings, metadata: { kind: 'sqlite', path: aside } }, options);
  // Copied once more, because what was just written may still lie in the log beside the file.
  await snapshotDatabase(aside, settled);
  renameSync(settled, path);
  syncFolder(dirname(path));
  clear(aside);
  return report;
}

function clear(...paths: string[]): void {
  for (const path of paths) for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
}

/** Settles a database that was brought back by other means (pg_restore, a copied disk). No server may be running on it. */
export async function settleInPlace(
  settings: ServerSettings,
  options: { nothingEnded: boolean; warn: Deps['warn'] },
): Promise<SettledRestore> {
  const wired = await wire(settings, options.warn);
  try {
    return await settleRestored(wired.deps, options);
  } finally {
    await wired.close();
  }
}
