import { readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from '../world.ts';

/** Only with `--plant-loss`: cuts one stored file short behind the server's back. The demo must notice and fail. */
export const plantLoss: Step = {
  title: 'A loss is planted',
  async run(world) {
    if (!world.plantLoss) return;
    const blobs = join(world.dataFolder, 'blobs');
    const entries = await readdir(blobs, { recursive: true, withFileTypes: true });
    const file = entries.find((entry) => entry.isFile());
    if (file === undefined) throw new Error('there is no stored file to damage');
    await truncate(join(file.parentPath, file.name), 1000);
    world.say('one stored file was cut short');
  },
};
