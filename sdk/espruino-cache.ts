import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { version } from 'esbuild';

const SDK = fileURLToPath(new URL('.', import.meta.url));
const FOLDER = join(SDK, '../node_modules/.cache/fuselink');

/** The passes: what they make of a text changes when they do. */
const PASSES = ['build', 'cache', 'constants', 'inline', 'nest', 'program', 'shrink'];

/**
 * What `make` makes of `text`, which takes seconds, kept by a digest of the text, of the passes and of esbuild's version. A
 * folder that cannot be read or written costs those seconds and no more.
 */
export async function madeOnce(text: string, make: (text: string) => string, folder = FOLDER): Promise<string> {
  const digest = createHash('sha256').update(version);
  for (const pass of PASSES) digest.update(`\0${await readFile(join(SDK, `espruino-${pass}.ts`), 'utf8')}`);
  const path = join(folder, `espruino-${digest.update(`\0${text}`).digest('hex')}.js`);
  const kept = await readFile(path, 'utf8').catch(() => null);
  // The first line says how long the rest is: a file that was cut off is none.
  const [head, ...rest] = (kept ?? '').split('\n');
  if (rest.length > 0 && Number(head) === rest.join('\n').length) return rest.join('\n');
  const made = make(text);
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  await mkdir(folder, { recursive: true })
    .then(() => writeFile(beside, `${made.length}\n${made}`))
    .then(() => rename(beside, path))
    .catch(() => undefined);
  return made;
}
