/**
 * Bundles one program of the simulator into one file with everything in it: a CI job copies it and needs nothing but Node. From a
 * bundle it runs nearly twice as fast as through a loader of TypeScript, which names every closure whenever it is made. What stays
 * outside is loaded only by servers with a database on disk, which no engine here starts.
 */
export async function bundleSimulator(entry: string, outfile: string): Promise<void> {
  // Only a checkout has the bundler, and only a checkout needs it.
  const { build } = await import('esbuild');
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    external: ['esbuild', '@photostructure/sqlite', 'pg-native', '#sdk/seal/node'],
    // CommonJS packages inside ask for Node's own modules.
    banner: {
      js: "import { createRequire as nodeRequire } from 'node:module';const require = nodeRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
}
