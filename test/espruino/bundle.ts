import { build } from 'esbuild';
import { espruinoOptions } from '../../sdk/espruino-build.ts';
import { shrink } from '../../sdk/espruino-shrink.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

/** The module for Espruino as `npm run build` makes it, in its short or its readable form. */
export async function espruinoBundle(minified = true): Promise<string> {
  const options = { absWorkingDir: ROOT, bundle: true, write: false, logLevel: 'silent' } as const;
  const { outputFiles } = await build({ ...options, ...espruinoOptions(minified) });
  const text = outputFiles?.[0]?.text ?? '';
  return minified ? shrink(text) : text;
}
