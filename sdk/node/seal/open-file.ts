import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { UnsealOptions } from '../api.ts';
import { FuselinkError } from '../errors.ts';
import { fragmentOf } from '../receive/link.ts';
import { assertFree, settle, targetPath } from '../receive/target.ts';
import { sourceError } from '../send/file-source.ts';
import { loadSeal } from './library.ts';
import type { OpenedContent } from './opening-part.ts';
import { createUnsealing } from './unsealing.ts';

export interface OpenedFile extends OpenedContent {
  /** Where the content lies now. */
  path: string;
}

/** One read of a sealed file. */
const READ_BYTES = 65_536;

/**
 * Opens a sealed file that lies on the disk (`curl -O` stored it, say). `link`: the link it came from, for what is
 * sealed to its link. Written aside, and given its name only when all of it held. Throws FuselinkError.
 */
export async function openSealedFile(
  path: string,
  options: UnsealOptions & { to?: string | undefined; overwrite?: boolean | undefined; link?: string | undefined },
): Promise<OpenedFile> {
  const seal = await loadSeal();
  const fragment = options.link === undefined ? null : fragmentOf(options.link);
  const unsealing = await createUnsealing(seal, { fragment, options, directory: null });
  const found = await stat(path).catch((error: unknown) => {
    throw sourceError(error, path);
  });
  if (!found.isFile()) throw new FuselinkError('source_unreadable', `${path}: expected a file, got something else`);
  const overwrite = options.overwrite === true;
  const folder = dirname(await targetPath(options.to, 'opened'));
  const aside = join(folder, `.fuselink-${randomBytes(8).toString('hex')}.part`);
  let target = '';
  try {
    const part = await unsealing.openPart(aside, async (name) => {
      target = await targetPath(options.to, name ?? 'opened.bin');
      if (!overwrite) await assertFree(target);
    });
    try {
      for await (const bytes of createReadStream(path, { highWaterMark: READ_BYTES }))
        await part.append(bytes as Buffer);
      await part.seal();
    } catch (error) {
      await part.close().catch(() => {});
      throw error;
    }
    await settle({ path: target, part: aside }, overwrite);
    return { ...part.opened(), path: target };
  } finally {
    await rm(aside, { force: true });
  }
}
