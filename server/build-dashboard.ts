import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { DASHBOARD_MANIFEST, type DashboardManifest } from './dashboard-files.ts';

export interface BuiltFile {
  name: string;
  bytes: Uint8Array;
}

/** The dashboard's files with their manifest, as they are served: named by their content, compressed beforehand. */
export async function buildDashboard(): Promise<{ manifest: DashboardManifest; files: BuiltFile[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: { app: join(import.meta.dirname, 'dashboard/main.tsx') },
    outdir: '/dashboard',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    charset: 'utf8',
    legalComments: 'none',
    metafile: true,
    write: false,
  });
  const named = outputFiles.map(({ path, contents }) => ({ name: path.split('/').at(-1) ?? '', bytes: contents }));
  const entry = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint !== undefined);
  if (entry === undefined) throw new Error('expected the bundle to have an entry point');
  const last = (path: string) => path.split('/').at(-1) ?? '';
  const manifest: DashboardManifest = {
    script: last(entry[0]),
    style: last(entry[1].cssBundle ?? ''),
    files: named.map(({ name }) => name).sort(),
  };
  const files = named.flatMap(({ name, bytes }) => [
    { name, bytes },
    { name: `${name}.br`, bytes: brotli(bytes) },
    { name: `${name}.gz`, bytes: gzipSync(bytes, { level: 9 }) },
  ]);
  return { manifest, files };
}

function brotli(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
}

/** Writes the dashboard into a folder of its own, which holds nothing else afterwards. */
export async function writeDashboard(folder: string): Promise<void> {
  const { manifest, files } = await buildDashboard();
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const { name, bytes } of files) await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, DASHBOARD_MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** What two builds must agree on to be the same. */
export function buildDigest(manifest: DashboardManifest): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
}
