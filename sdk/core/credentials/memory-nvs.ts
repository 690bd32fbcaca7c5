import { fileNvs } from './file-nvs.ts';
import type { Nvs } from './nvs.ts';
import type { CutFiles } from './powercut/cut-files.ts';
import { cutFiles } from './powercut/cut-files.ts';
import { steadyPower } from './powercut/power.ts';

/** A store in memory. It is the file store over an emulated folder, so that power can be cut and bits can rot in it. */
export interface MemoryNvs {
  nvs: Nvs;
  files: CutFiles;
  /** The name of the log in `files`. */
  fileName: string;
}

export function memoryNvs(): MemoryNvs {
  const files = cutFiles(steadyPower(), 4);
  return { nvs: fileNvs(files, 'nvs'), files: files, fileName: 'nvs' };
}
