import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions, Metafile, Plugin } from 'esbuild';
import { build } from 'esbuild';
import { buildNodePackage, ENTRY } from './build-node.ts';
import { espruinoOptions, espruinoShort } from './espruino-build.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The oldest Node the device SDK runs on. */
const NODE_TARGET = 'node18';

const shared: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: NODE_TARGET,
  minify: true,
  // Class names are part of error messages (`FuselinkError: …`).
  keepNames: false,
  legalComments: 'none',
  charset: 'utf8',
  metafile: true,
  logLevel: 'silent',
};

/** Pieces that are called after what is in them: one of an earlier build may still be wanted by a program that runs. */
const PIECE = /^[\w-]+-[0-9A-Z]{8}\.[mc]js(\.map)?$/;
const PIECE_AGE_MS_MAX = 86_400_000;

interface Target {
  /** Where it lands, below `dist`. */
  output: string;
  options: BuildOptions;
  executable: boolean;
  /** What is done to the text afterwards. */
  finish?: (text: string) => Promise<string>;
}

/** Leaves the seal library out of a bundle: it is loaded from `file`, beside it, where something is sealed or opened. */
function sealLoadedFrom(file: string): Plugin {
  return {
    name: 'seal-loaded-late',
    setup(bundler) {
      bundler.onResolve({ filter: /^#sdk\/seal\/node$/ }, () => ({ path: file, external: true }));
    },
  };
}

const sealBundle: BuildOptions = { entryPoints: ['sdk/seal/node.ts'], format: 'esm' };

const TARGETS: readonly Target[] = [
  // Once more inside the package, which has to be whole by itself.
  { output: 'sdk/node/seal.mjs', options: sealBundle, executable: false },
  { output: 'sdk/seal/node.mjs', options: sealBundle, executable: false },
  {
    output: 'sdk/seal/index.mjs',
    options: { entryPoints: ['sdk/seal/index.ts'], format: 'esm', platform: 'browser', target: 'es2022' },
    executable: false,
  },
  {
    output: 'sdk/cli/fuselink.mjs',
    options: {
      entryPoints: ['sdk/cli/fuselink.ts'],
      format: 'esm',
      banner: { js: '#!/usr/bin/env node' },
      plugins: [sealLoadedFrom('../seal/node.mjs')],
    },
    executable: true,
  },
  { output: 'sdk/espruino/fuselink.js', options: espruinoOptions(false), executable: false },
  { output: 'sdk/espruino/fuselink.min.js', options: espruinoOptions(true), executable: false, finish: espruinoShort },
];

/** `sdk/node/api.ts` has no imports of its own, so it is the package's types; what is not a type is declared here. */
export const VALUE_DECLARATIONS = `
/** A client of one server. Throws FuselinkError \`option_invalid\` for options that cannot be meant. */
export declare function createClient(options: ClientOptions): FuselinkClient;

/** Read a link without a client: the link is all that is needed. */
export declare function receive(
  url: string,
  options?: ReceiveOptions & Omit<ClientOptions, 'url' | 'key' | 'store' | 'device' | 'readings'>,
): Promise<ReceiveResult>;

/** The one error this SDK throws. \`code\` is stable; messages never hold a key or a link. */
export declare class FuselinkError extends Error {
  readonly name: 'FuselinkError';
  readonly code: string;
  readonly status: number | null;
  readonly resumable: boolean;
  readonly retryAfterSeconds: number | null;
  readonly fingerprint: string | null;
}
`;

export interface Built {
  output: string;
  bytes: number;
  metafile: Metafile;
  /** Of a package made of pieces: what importing it loads. */
  entryBytes?: number;
}

/** Build the Node client, its types and the command line into `outputFolder`; each file appears whole or not at all. */
export async function buildSdk(outputFolder: string): Promise<Built[]> {
  await mkdir(outputFolder, { recursive: true });
  const beside = await mkdtemp(join(outputFolder, '.sdk-'));
  const built: Built[] = [];
  try {
    const folder = join(beside, 'sdk/node');
    const { pieces, entryBytes, metafile: all } = await buildNodePackage(folder, shared, sealLoadedFrom('./seal.mjs'));
    for (const { name, bytes } of pieces) built.push({ output: `sdk/node/${name}`, bytes, metafile: all, entryBytes });
    for (const target of TARGETS) {
      const outfile = join(beside, target.output);
      const { metafile } = await build({ ...shared, ...target.options, outfile });
      if (metafile === undefined) throw new Error('esbuild gave no metafile');
      if (target.finish !== undefined) await writeFile(outfile, await target.finish(await readFile(outfile, 'utf8')));
      if (target.executable) await chmod(outfile, 0o755);
      built.push({ output: target.output, bytes: (await readFile(outfile)).length, metafile });
    }
    const types = await readFile(join(ROOT, 'sdk/node/api.ts'), 'utf8');
    for (const name of ['index.d.ts', 'index.d.mts', 'index.d.cts']) {
      await writeFile(join(beside, 'sdk/node', name), types + VALUE_DECLARATIONS);
    }
    await writeFile(join(beside, 'sdk/node/package.json'), `${JSON.stringify(await manifest(), null, 2)}\n`);
    await moveInto(beside, outputFolder);
    await removeOldPieces(join(outputFolder, 'sdk/node'), new Set(pieces.map(({ name }) => name)));
    return built;
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

async function manifest(): Promise<object> {
  const { version, license } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<string, string>;
  return {
    name: 'fuselink-sdk',
    version,
    license,
    type: 'module',
    engines: { node: '>=18.15' },
    main: './index.cjs',
    types: './index.d.ts',
    exports: {
      '.': {
        import: { types: './index.d.mts', default: './index.mjs' },
        require: { types: './index.d.cts', default: './index.cjs' },
      },
      './seal': './seal.mjs',
    },
  };
}

/** Rename file by file: another build or a running program always finds a whole file, the old or the new. */
async function moveInto(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) await moveInto(source, target);
    else await rename(source, target);
  }
}

async function removeOldPieces(folder: string, present: ReadonlySet<string>): Promise<void> {
  const oldestMs = Date.now() - PIECE_AGE_MS_MAX;
  for (const name of await readdir(folder)) {
    if (!PIECE.test(name) || present.has(name.replace(/\.map$/, ''))) continue;
    const path = join(folder, name);
    if ((await stat(path)).mtimeMs < oldestMs) await rm(path, { force: true });
  }
}

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) {
  const built = await buildSdk(join(ROOT, 'dist'));
  for (const { output, bytes } of built) console.log(`${String(bytes).padStart(8)} B  dist/${output}`);
  const entryBytes = built.find((one) => one.entryBytes !== undefined)?.entryBytes;
  console.log(`${String(entryBytes).padStart(8)} B  loaded by importing dist/sdk/node/${ENTRY}`);
}
