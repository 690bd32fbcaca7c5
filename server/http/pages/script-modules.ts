import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const HERE = import.meta.dirname;

/** A page's script as a module of the server, so that the server stays one file. */
export interface ScriptModule {
  /** What is written: made by `npm run build`, and not kept by git. */
  file: string;
  /** Name of the exported constant that holds the script. */
  name: string;
  entry: string;
  format: 'iife' | 'esm';
  target: string;
}

/** What the recipient's page runs. */
export const LINK_SCRIPT_MODULE: ScriptModule = {
  file: join(HERE, 'link-script.generated.ts'),
  name: 'LINK_SCRIPT',
  entry: join(HERE, 'client/link.js'),
  format: 'iife',
  target: 'es2020',
};

/** What opens sealed files in the browser: a page loads it only for sealed files. */
export const UNSEAL_SCRIPT_MODULE: ScriptModule = {
  file: join(HERE, 'unseal-script.generated.ts'),
  name: 'UNSEAL_SCRIPT',
  entry: join(HERE, 'browser/unseal.ts'),
  format: 'esm',
  target: 'es2022',
};

export const SCRIPT_MODULES: readonly ScriptModule[] = [LINK_SCRIPT_MODULE, UNSEAL_SCRIPT_MODULE];

/** The module's text. */
export async function scriptModule({ name, entry, format, target }: ScriptModule): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    format,
    target,
    bundle: true,
    minify: true,
    platform: 'browser',
    charset: 'ascii',
    legalComments: 'none',
    write: false,
  });
  const script = outputFiles[0]?.text.trim() ?? '';
  return `/** Made by \`npm run build\`. */\nexport const ${name} =\n  ${JSON.stringify(script)};\n`;
}

/** Writes every page's script to its file. */
export async function writeScriptModules(): Promise<void> {
  for (const module of SCRIPT_MODULES) await writeFile(module.file, await scriptModule(module));
}
