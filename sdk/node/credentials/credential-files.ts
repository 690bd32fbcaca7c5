import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { NvsFiles } from '#sdk/core';
import { CredentialFileError } from './credential-error.ts';

/** Owner only. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** Windows has no such bits; there the folder's access list is what protects the file. */
const HAS_MODES = process.platform !== 'win32';

const octal = (mode: number) => (mode & 0o7777).toString(8).padStart(4, '0');

function failed(path: string, what: string, error: unknown): CredentialFileError {
  if (error instanceof CredentialFileError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new CredentialFileError(
      'credentials_disk_full',
      path,
      `${path}: the disk is full, the key was not ${what}`,
      error,
    );
  }
  if (code === 'ELOOP' || code === 'EISDIR') {
    return new CredentialFileError(
      'credentials_not_a_file',
      path,
      `${path}: expected a plain file, found a link or folder`,
      error,
    );
  }
  return new CredentialFileError('credentials_io', path, `${path}: could not be ${what} (${code})`, error);
}

/** Refuses a file or folder that somebody else could read or replace, and says how to mend it. */
function checkAccess(path: string, stat: { mode: number; uid: number }, forbidden: number, wanted: number): void {
  if (!HAS_MODES) return;
  const self = process.getuid?.();
  if (self !== undefined && stat.uid !== self && stat.uid !== 0) {
    throw new CredentialFileError(
      'credentials_permissions',
      path,
      `${path}: expected to belong to user ${self}, belongs to ${stat.uid}`,
    );
  }
  if ((stat.mode & forbidden) !== 0) {
    throw new CredentialFileError(
      'credentials_permissions',
      path,
      `${path}: expected mode ${octal(wanted)}, found ${octal(stat.mode)}: others could read or replace the key. ` +
        `Run: chmod ${octal(wanted).slice(1)} ${path}`,
    );
  }
}

/**
 * One folder as the file store wants it. Makes the folder (0700) when there is none. Files are made 0600, never
 * followed through links, and refused when group or others may touch them; a folder is refused when others may write
 * into it. Throws CredentialFileError.
 */
export function credentialFiles(folder: string): NvsFiles {
  const pathOf = (name: string) => join(folder, name);

  const prepareFolder = () => {
    try {
      mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
      const stat = lstatSync(folder);
      if (stat.isDirectory()) checkAccess(folder, stat, 0o022, FOLDER_MODE);
    } catch (error) {
      throw failed(folder, 'prepared', error);
    }
  };

  /** Opens, checks what was opened (not what a name pointed at a moment ago), runs, closes. */
  const withFile = <T>(name: string, flags: number, what: string, run: (descriptor: number) => T): T => {
    const path = pathOf(name);
    let descriptor: number;
    try {
      descriptor = openSync(path, flags | (constants.O_NOFOLLOW ?? 0), FILE_MODE);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
      throw failed(path, what, error);
    }
    try {
      const stat = fstatSync(descriptor);
      if (!stat.isFile()) {
        throw new CredentialFileError('credentials_not_a_file', path, `${path}: expected a plain file`);
      }
      checkAccess(path, stat, 0o077, FILE_MODE);
      return run(descriptor);
    } catch (error) {
      throw failed(path, what, error);
    } finally {
      closeSync(descriptor);
    }
  };

  prepareFolder();
  return {
    read: (name) => {
      try {
        return withFile(name, constants.O_RDONLY, 'read', (descriptor) => new Uint8Array(readFileSync(descriptor)));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    append: (name, bytes) => {
      withFile(name, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 'written', (descriptor) => {
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      });
    },
    sync: (name) => {
      withFile(name, constants.O_RDWR, 'synced', fdatasyncSync);
    },
    rename: (from, to) => {
      try {
        renameSync(pathOf(from), pathOf(to));
      } catch (error) {
        throw failed(pathOf(to), 'replaced', error);
      }
    },
    remove: (name) => {
      try {
        rmSync(pathOf(name), { force: true });
      } catch (error) {
        throw failed(pathOf(name), 'removed', error);
      }
    },
    syncFolder: () => {
      // Windows cannot open a folder; its rename is durable with the journal.
      if (!HAS_MODES) return;
      try {
        const descriptor = openSync(folder, constants.O_RDONLY);
        try {
          fsyncSync(descriptor);
        } finally {
          closeSync(descriptor);
        }
      } catch (error) {
        throw failed(folder, 'synced', error);
      }
    },
  };
}
