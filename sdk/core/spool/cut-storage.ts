import type { CutFiles } from '../credentials/powercut/index.ts';
import { isPowerCut } from '../credentials/powercut/index.ts';
import type { SpoolFault, SpoolOperation, SpoolStorage } from './types.ts';

const performOne = function (files: CutFiles, operation: SpoolOperation): void {
  if (operation.op === 'write') files.write(operation.name, operation.at, operation.bytes);
  else if (operation.op === 'sync') {
    files.sync(operation.name);
    if (operation.folder) files.syncFolder();
  } else files.remove(operation.name);
};

/** A spool's storage in memory, on which the power can be cut (`files.power`), the disk be full, and bits rot. */
export function cutStorage(files: CutFiles): SpoolStorage {
  return {
    list: function (found) {
      files.list().forEach(function (name) {
        found(name, files.size(name));
      });
    },
    read: function (name, from, length) {
      return files.list().indexOf(name) < 0 ? null : files.readRange(name, from, from + length);
    },
    perform: function (operations, done) {
      let fault: SpoolFault | null = null;
      for (let at = 0; at < operations.length && !fault; at++) {
        try {
          performOne(files, operations[at] as SpoolOperation);
        } catch (error) {
          if (isPowerCut(error)) throw error;
          const code = (error as { code?: string }).code;
          fault = { kind: code === 'ENOSPC' ? 'full' : 'io', at: at, detail: String((error as Error).message) };
        }
      }
      done(fault);
    },
  };
}
