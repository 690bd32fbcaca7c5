import { build } from 'esbuild';
import { espruinoOptions, espruinoShort } from '../../sdk/espruino-build.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

let short: Promise<string> | undefined;

/** The module for Espruino as `npm run build` makes it, in its short or its readable form. */
export async function espruinoBundle(minified = true): Promise<string> {
  if (!minified) return bundled(false);
  short ??= bundled(true).then(espruinoShort);
  return short;
}

async function bundled(minified: boolean): Promise<string> {
  const options = { absWorkingDir: ROOT, bundle: true, write: false, logLevel: 'silent' } as const;
  const { outputFiles } = await build({ ...options, ...espruinoOptions(minified) });
  return outputFiles?.[0]?.text ?? '';
}
