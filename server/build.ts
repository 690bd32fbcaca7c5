import { build } from 'esbuild';
import { writeDashboard } from './build-dashboard.ts';
import { writeScriptModules } from './http/pages/script-modules.ts';

await writeScriptModules();
await writeDashboard('dist/dashboard');

/** Bundles the server into one file; npm packages stay outside, as they were installed. */
await build({
  entryPoints: { main: 'server/main.ts' },
  outdir: 'dist/server',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
});
