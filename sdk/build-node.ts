import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions, Metafile, OutputFile, Plugin } from 'esbuild';
import { build, transform } from 'esbuild';
import { MANGLED_NAMES } from './mangled-names.ts';

/*
 * The package `dist/sdk/node`: `index.mjs` is what a client needs that sends files; readings, reading links, rotation
 * and sealing are files beside it that the first use loads. The same pieces once more as CommonJS. Each has a source map.
 */

const CLIENT = fileURLToPath(new URL('node/client.ts', import.meta.url));

/** The piece a program imports; every other is reached from it. */
export const ENTRY = 'index.mjs';

/**
 * How the client comes apart. Nothing in the SDK does anything by being imported, so a piece holds only what it uses.
 * What is loaded late is loaded by a client that is there already: each such piece says so by an import, and everything
 * they share stays in one piece.
 */
const pieceByPiece: Plugin = {
  name: 'piece-by-piece',
  setup(bundler) {
    const late = new Set<string>();
    bundler.onResolve({ filter: /.*/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (pluginData === 'resolved' || kind === 'entry-point') return undefined;
      const found = await bundler.resolve(path, { kind, importer, resolveDir, pluginData: 'resolved' });
      if (kind === 'dynamic-import' && !found.external) late.add(found.path);
      return { ...found, sideEffects: path === CLIENT };
    });
    bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      if (!late.has(path)) return undefined;
      const text = await readFile(path, 'utf8');
      return { contents: `import ${JSON.stringify(CLIENT)}; ${text}`, loader: 'ts' };
    });
  },
};

export interface Piece {
  name: string;
  bytes: number;
}

export interface NodePackage {
  pieces: Piece[];
  /** Bytes of the entry with every piece it imports before anything is called. */
  entryBytes: number;
  metafile: Metafile;
}

/** Build the package's pieces into `folder`. `shared` are the settings of all bundles. */
export async function buildNodePackage(folder: string, shared: BuildOptions, late: Plugin): Promise<NodePackage> {
  const { outputFiles, metafile } = await build({
    ...shared,
    entryPoints: { index: 'sdk/node/published.ts' },
    format: 'esm',
    splitting: true,
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    plugins: [late, pieceByPiece],
    mangleProps: new RegExp(`^(?:${MANGLED_NAMES.join('|')})$`),
    sourcemap: 'external',
    write: false,
  });
  if (outputFiles === undefined || metafile === undefined) throw new Error('esbuild gave no output');
  await mkdir(folder, { recursive: true });
  const maps = new Map(outputFiles.filter(isMap).map((file) => [basename(file.path, '.map'), file.text]));
  const pieces: Piece[] = [];
  for (const { path, text } of outputFiles.filter((file) => !isMap(file))) {
    const name = basename(path);
    const map = maps.get(name) ?? '';
    pieces.push(await writePiece(folder, name, text, map));
    pieces.push(await writeCommonJs(folder, name, text, map));
  }
  return { pieces, entryBytes: closureBytes(metafile, ENTRY), metafile };
}

const isMap = ({ path }: OutputFile): boolean => path.endsWith('.map');

const mapLine = (name: string): string => `//# sourceMappingURL=${name}.map\n`;

async function writePiece(folder: string, name: string, code: string, map: string): Promise<Piece> {
  const text = `${code.trimEnd()}\n${mapLine(name)}`;
  await writeFile(join(folder, name), text);
  await writeFile(join(folder, `${name}.map`), map);
  return { name, bytes: Buffer.byteLength(text) };
}

/** The piece as CommonJS, importing its neighbours as such; the seal library is a module for both. */
async function writeCommonJs(folder: string, name: string, code: string, map: string): Promise<Piece> {
  const neighbours = code.replace(/(["'])(\.\/(?!seal\.mjs)[\w-]+)\.mjs\1/g, '$1$2.cjs$1');
  const mapUrl = `data:application/json;base64,${Buffer.from(map).toString('base64')}`;
  const made = await transform(`${neighbours.trimEnd()}\n//# sourceMappingURL=${mapUrl}\n`, {
    format: 'cjs',
    platform: 'node',
    target: 'node18',
    minify: true,
    charset: 'utf8',
    sourcemap: 'external',
    sourcefile: name,
  });
  return writePiece(folder, name.replace(/\.mjs$/, '.cjs'), made.code, made.map);
}

function closureBytes(metafile: Metafile, entry: string): number {
  const byName = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  const seen = new Set<string>();
  const visit = (name: string): number => {
    const output = byName.get(name);
    if (seen.has(name) || output === undefined) return 0;
    seen.add(name);
    const statics = output.imports.filter(({ kind, external }) => kind === 'import-statement' && external !== true);
    return output.bytes + mapLine(name).length + statics.reduce((sum, { path }) => sum + visit(basename(path)), 0);
  };
  return visit(entry);
}
