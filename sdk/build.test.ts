import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { builtinModules, createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { tokenizer } from 'acorn';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { espruinoBundle } from '../test/espruino/bundle.ts';
import { run } from '../test/support/run.ts';
import type { Built } from './build.ts';
import { buildSdk } from './build.ts';
import { MANGLED_NAMES } from './mangled-names.ts';

/** What importing the Node client may load: all of sending. */
const CLIENT_BYTES_MAX = 40_960;
/** With the pieces that readings, links, rotation, proxies and sealing load when they are first used. */
const PACKAGE_BYTES_MAX = 131_072;
/** The pieces' names end in a digest of what is in them. */
const PIECE =
  /^sdk\/node\/(chunk|client-sealing|proxy|read-link|recorder|rotation|stream-source|tunnel)-\w{8}\.[mc]js$/;

const ROOT = join(import.meta.dirname, '..');
let folder: string;
let built: Built[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-build-'));
  built = await buildSdk(folder);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const isBuiltin = (name: string) => name.startsWith('node:') && builtinModules.includes(name.slice(5));

const SEAL_FILES = ['./seal.mjs', '../seal/node.mjs'];
const isOwn = (name: string) =>
  isBuiltin(name) ||
  SEAL_FILES.includes(name) ||
  built.some(({ output }) => output === join('sdk/node', name) && PIECE.test(output));

describe('build', () => {
  test.each([
    ['fuselink.min.js', true],
    ['fuselink.js', false],
  ])('build: sdk/espruino/%s → byte by byte what the gates of test/espruino run', async (name, minified) => {
    const shipped = await readFile(join(folder, 'sdk/espruino', name), 'utf8');
    expect(shipped.length).toBeGreaterThan(4_000);
    expect(shipped).toBe(await espruinoBundle(minified));
  });

  test('build: every bundle → imports Node’s own modules and the seal library, and only that holds other people’s code', async () => {
    const outputs = built.map(({ output }) => output);
    expect(outputs.filter((output) => !PIECE.test(output)).sort()).toEqual([
      'sdk/cli/fuselink.mjs',
      'sdk/espruino/fuselink.js',
      'sdk/espruino/fuselink.min.js',
      'sdk/node/index.cjs',
      'sdk/node/index.mjs',
      'sdk/node/seal.mjs',
      'sdk/seal/index.mjs',
      'sdk/seal/node.mjs',
    ]);
    for (const { output, metafile } of built) {
      const foreign = Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter((one) => one.external));
      expect([output, foreign.map(({ path }) => path).filter((path) => !isOwn(path))]).toEqual([output, []]);
      // What seals brings its libraries with it, in a file that is loaded only where something is sealed or opened.
      const inputs = output.includes('seal') ? /^(sdk\/|node_modules\/@noble\/)/ : /^sdk\/(?!seal\/)/;
      expect(Object.keys(metafile.inputs).filter((path) => !inputs.test(path))).toEqual([]);
      const text = await readFile(join(folder, output), 'utf8');
      const named = [...text.matchAll(/(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*["']([\w@./:-]+)["']/g)].map(
        (m) => m[1],
      );
      expect([output, named.filter((name) => !isOwn(name as string))]).toEqual([output, []]);
    }
  });

  test('build: size of the Node client → within 40 KiB for what importing it loads, and told', () => {
    const entryBytes = built.find((one) => one.entryBytes !== undefined)?.entryBytes ?? Number.NaN;
    const pieces = built.filter(({ output }) => /^sdk\/node\/(?!seal).*\.mjs$/.test(output));
    const packageBytes = pieces.reduce((sum, { bytes }) => sum + bytes, 0);
    const recorderBytes = pieces.find(({ output }) => output.includes('/recorder-'))?.bytes ?? Number.NaN;
    console.log(
      `the Node client, minified: ${entryBytes} B are loaded by importing it, ${entryBytes + recorderBytes} B with record(), ${packageBytes} B are all pieces`,
    );
    for (const { output, bytes } of pieces) console.log(`${output}: ${bytes} B`);
    expect(entryBytes).toBeLessThanOrEqual(CLIENT_BYTES_MAX);
    expect(packageBytes).toBeLessThanOrEqual(PACKAGE_BYTES_MAX);
  });

  test('build: every piece, ESM and CJS → has a source map that leads to the files of this repository', async () => {
    // One of only a few imports has no code that a map could lead anywhere.
    const pieces = built.filter(({ output, bytes }) => PIECE.test(output) && bytes > 1000);
    expect(pieces.length).toBeGreaterThan(10);
    for (const { output } of pieces) {
      const text = await readFile(join(folder, output), 'utf8');
      expect(text.trimEnd().split('\n').at(-1)).toBe(`//# sourceMappingURL=${basename(output)}.map`);
      const map = JSON.parse(await readFile(join(folder, `${output}.map`), 'utf8')) as { sources: string[] };
      expect([output, map.sources.filter((source) => !/\/sdk\/(node|core|protocol)\/.*\.ts$/.test(source))]).toEqual([
        output,
        [],
      ]);
    }
  });

  test('build: shortened properties → none is public, on the wire, in a file, of Node or of the seal library', async () => {
    const boundary = [
      'sdk/node/api.ts',
      'sdk/build.ts',
      'sdk/protocol/messages.ts',
      'sdk/core/spool/snapshot.ts',
      'sdk/core/batch/manifest.ts',
      'sdk/node/send/resume.ts',
      'sdk/node/seal/pins.ts',
      'sdk/node/seal/opening-part.ts',
      'sdk/node/rotation/identity.ts',
      ...(await readdir(join(ROOT, 'sdk/seal'), { recursive: true }))
        .filter((path) => path.endsWith('.ts') && !/\.(test|testkit|bench|contract)\.ts$/.test(path))
        .map((path) => join('sdk/seal', path)),
      ...['http', 'https', 'net', 'tls', 'fs', 'fs/promises', 'crypto', 'zlib', 'events', 'stream', 'url', 'buffer']
        .concat(['globals', 'process', 'os', 'timers', 'perf_hooks', 'path'])
        .map((name) => `node_modules/@types/node/${name}.d.ts`),
    ];
    const known = new Set<string>();
    for (const path of boundary) {
      const text = await readFile(join(ROOT, path), 'utf8');
      for (const word of text.replace(/\/\*[\s\S]*?\*\//g, '').match(/[A-Za-z_]\w*/g) ?? []) known.add(word);
    }
    expect(MANGLED_NAMES.filter((name) => known.has(name) || name in globalThis)).toEqual([]);
    // A property that a string names as well may be looked up by it, as the rows of the rotation's table do.
    const spoken = new Set<string>();
    const code = await readFile(join(folder, 'sdk/cli/fuselink.mjs'), 'utf8');
    for (const token of tokenizer(code, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true })) {
      if (token.type.label !== 'string' && token.type.label !== 'template') continue;
      for (const word of code.slice(token.start, token.end).match(/\w+/g) ?? []) spoken.add(word);
    }
    expect(spoken.has('useCandidate')).toBe(true);
    expect(MANGLED_NAMES.filter((name) => spoken.has(name))).toEqual([]);
    expect(new Set(MANGLED_NAMES).size).toBe(MANGLED_NAMES.length);
  });

  test('build: ESM and CJS → the same names, and a client that can be made', async () => {
    const esm = (await import(pathToFileURL(join(folder, 'sdk/node/index.mjs')).href)) as Record<string, unknown>;
    const cjs = createRequire(import.meta.url)(join(folder, 'sdk/node/index.cjs')) as Record<string, unknown>;
    expect(Object.keys(esm).sort()).toEqual(['FuselinkError', 'createClient', 'receive']);
    expect(Object.keys(cjs).sort()).toEqual(Object.keys(esm).sort());
    for (const module of [esm, cjs]) {
      const create = module['createClient'] as (options: object) => { close(): Promise<void> };
      const client = create({ url: 'http://127.0.0.1:1', key: 'k', stateFolder: null });
      await client.close();
    }
  });

  test('build: a client of the package, ESM and CJS → loads the seal library when it seals, and only then', async () => {
    for (const file of ['index.mjs', 'index.cjs']) {
      const program = join(folder, `sealing-${file.slice(-3)}.mjs`);
      const path = JSON.stringify(pathToFileURL(join(folder, 'sdk/node', file)).href);
      await writeFile(
        program,
        `import { existsSync, renameSync } from 'node:fs';
         import { createClient } from ${path};
         const client = createClient({ url: 'http://127.0.0.1:1', key: 'k', stateFolder: null });
         const given = { giveUpAfterMs: 0 };
         const code = (sent) => sent.then(() => 'sent', (error) => error.code);
         const seal = ${JSON.stringify(join(folder, 'sdk/node/seal.mjs'))};
         renameSync(seal, seal + '.away');
         const plain = await code(client.send(Buffer.from('x'), given));
         const missing = await code(client.send(Buffer.from('x'), { ...given, seal: { to: 'link' } }));
         renameSync(seal + '.away', seal);
         const there = await code(client.send(Buffer.from('x'), { ...given, seal: { to: ['nonsense'] } }));
         await client.close();
         console.log([plain, missing, there, existsSync(seal)].join(' '));`,
      );
      const ran = await run(process.execPath, [program]);
      expect([ran.stdout.trim(), ran.stderr]).toEqual(['unreachable seal_library_missing unreachable true', '']);
    }
  });

  test('build: types → a program in strict TypeScript compiles, and they say what the code says', async () => {
    const consumer = join(folder, 'consumer.ts');
    await writeFile(
      consumer,
      `import { createClient, FuselinkError, receive, type SendResult } from './sdk/node/index.mjs';
       import * as source from '${join(ROOT, 'sdk/node/published.ts')}';
       type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
       export const sameCreate: Same<Parameters<typeof createClient>, Parameters<typeof source.createClient>> = true;
       export const sameReceive: Same<Parameters<typeof receive>, Parameters<typeof source.receive>> = true;
       export const client: import('./sdk/node/index.mjs').FuselinkClient = source.createClient({ url: 'http://h' });
       const given: SendResult = await createClient({ url: 'http://h', key: 'k' }).send('x', { ttlSeconds: 60 });
       export const error: FuselinkError = new source.FuselinkError('x', 'y');
       // @ts-expect-error: a misspelt option is not taken silently
       createClient({ url: 'http://h', keyy: 'k' });
       export default given.sha256.length;`,
    );
    const settings = {
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: { typeRoots: [join(ROOT, 'node_modules/@types')], skipLibCheck: false, noUnusedLocals: false },
      files: ['consumer.ts'],
      include: [],
      exclude: [],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings));
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    const result = await run(tsc, ['--noEmit', '-p', join(folder, 'tsconfig.json')], { cwd: ROOT });
    expect(result.stdout).toBe('');
    expect(result.code).toBe(0);
  });

  test('build: command line → executable, tells its help; built twice → no file left over', async () => {
    const program = join(folder, 'sdk/cli/fuselink.mjs');
    expect((await stat(program)).mode & 0o111).not.toBe(0);
    const help = await run(program, ['--help']);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('fuselink: send files');
    await buildSdk(folder);
    expect((await readdir(folder)).filter((name) => name.startsWith('.sdk'))).toEqual([]);
  });
});
