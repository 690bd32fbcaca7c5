import { build } from 'esbuild';

/** Bundles the bridge into one file; npm packages stay outside, as they were installed. */
await build({
  entryPoints: { main: 'firmware-bridge/main.ts' },
  outdir: 'dist/bridge',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  packages: 'external',
  external: ['#sdk/seal/node'],
  banner: { js: '#!/usr/bin/env node' },
  sourcemap: true,
  logLevel: 'warning',
});
