import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { writeDashboard } from './build-dashboard.ts';
import { writeScriptModules } from './http/pages/script-modules.ts';

const FOLDER = 'dist/server';

await writeScriptModules();
await writeDashboard('dist/dashboard');

/** Bundles the server; what only some installations use is a file of its own, and npm packages stay as they were installed. */
const { metafile } = await build({
  entryPoints: { main: 'server/main.ts' },
  outdir: FOLDER,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  packages: 'external',
  sourcemap: true,
  metafile: true,
  logLevel: 'warning',
});
const built = new Set(Object.keys(metafile.outputs).map((path) => basename(path)));
for (const name of await readdir(FOLDER)) if (!built.has(name)) await rm(join(FOLDER, name), { recursive: true });
