import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { builtinModules, createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../test/support/run.ts';
import type { Built } from './build.ts';
import { buildSdk } from './build.ts';

/** Goal for the Node client without the command line, minified. */
const CLIENT_BYTES_GOAL = 40_960;
/** What it may not pass: past this something large was pulled in by mistake. */
const CLIENT_BYTES_MAX = 131_072;

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
const isOwn = (name: string) => isBuiltin(name) || SEAL_FILES.includes(name);

describe('build', () => {
  test('build: every bundle → imports Node’s own modules and the seal library, and only that holds other people’s code', async () => {
    expect(built.map(({ output }) => output).sort()).toEqual([
      'sdk/cli/fuselink.mjs',
      'sdk/node/index.cjs',
      'sdk/node/index.mjs',
      'sdk/node/seal.mjs',
      'sdk/seal/index.mjs',
      'sdk/seal/node.mjs',
    ]);
    for (const { output, metafile } of built) {
      const foreign = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
      expect([output, foreign.filter((path) => !isOwn(path))]).toEqual([output, []]);
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

  test('build: size of the Node client → told, and within what a slip would pass', () => {
    for (const { output, bytes } of built)
      console.log(`${output}: ${bytes} B minified (client goal ${CLIENT_BYTES_GOAL})`);
    const client = built.find(({ output }) => output === 'sdk/node/index.mjs');
    expect(client?.bytes).toBeLessThan(CLIENT_BYTES_MAX);
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
