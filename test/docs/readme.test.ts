import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSettings, SETTINGS } from '#server';
import { run } from '../support/run.ts';
import { prepareAccount, type ServerChild, startServerChild } from '../support/server-child.ts';
import { temporaryFolder } from '../support/test-server.ts';
import { runMicroPython } from './micropython-run.ts';
import { snippet } from './snippets.ts';

const ROOT = join(import.meta.dirname, '../..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

describe('README', () => {
  let folder: { path: string; remove(): Promise<void> };
  let server: ServerChild;
  let key: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const data = join(folder.path, 'data');
    key = (await prepareAccount(data)).accountKey;
    server = await startServerChild(data);
    await mkdir(join(folder.path, 'to'));
    await writeFile(join(folder.path, 'to', 'sensor-log.csv'), 'minute,celsius\n0,61.2\n');
    await writeFile(join(folder.path, 'to', 'reading.bin'), Buffer.from([0, 1, 2, 250]));
  });
  afterAll(async () => {
    await server.stop();
    await folder.remove();
  });

  /** The snippet with its placeholders filled in, as a reader would. */
  const filled = (name: string) =>
    snippet('README.md', name)
      .replaceAll('HOST', `127.0.0.1:${server.port}`)
      .replaceAll('/path/to', join(folder.path, 'to'))
      .replace(/(Bearer |KEY=|X-API-Key: )KEY/g, `$1${key}`);

  const read = async (url: string) =>
    Buffer.from(await (await fetch(url, { headers: { 'user-agent': 'curl/8' } })).arrayBuffer());

  test('curl form: run as written → a link with the file behind it', async () => {
    const { stdout, code } = await run('bash', ['-c', filled('curl-form')]);
    expect(code).toBe(0);
    const answer = JSON.parse(stdout) as { url: string; expires_at: string; id: string };
    expect(Math.round((Date.parse(answer.expires_at) - Date.now()) / 1000 / 60)).toBe(60);
    expect((await read(answer.url)).toString()).toBe('minute,celsius\n0,61.2\n');
  });

  test('curl raw: run as written → the bytes and their name', async () => {
    const { stdout } = await run('bash', ['-c', filled('curl-raw')]);
    const answer = JSON.parse(stdout) as { url: string; filename: string };
    expect(answer.filename).toBe('reading.bin');
    expect([...(await read(answer.url))]).toEqual([0, 1, 2, 250]);
  });

  test('fuselink send: run as written → a link', async () => {
    if (!existsSync(join(ROOT, 'dist/sdk/cli/fuselink.mjs'))) await run('npm', ['run', '-s', 'build'], { cwd: ROOT });
    const { stdout, stderr, code } = await run('bash', ['-c', filled('fuselink-send')], {
      cwd: ROOT,
      env: { FUSELINK_STATE: join(folder.path, 'state') },
    });
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    const link = /http:\/\/\S+\/get\/[\w-]+/.exec(stdout)?.[0] ?? '';
    expect((await read(link)).toString()).toContain('celsius');
  });

  test('MicroPython: run in its interpreter → a link', async () => {
    const program = snippet('README.md', 'micropython')
      .replace('"HOST"', '"127.0.0.1"')
      .replace('PORT,', `${server.port},`)
      .replace('"KEY"', `"${key}"`);
    const printed = await runMicroPython(program);
    expect([...(await read(printed.trim()))]).toEqual([0, 1, 2, 3]);
  });

  test('paths: every file and folder it names → exists', () => {
    const named = [...readme.matchAll(/`((?:sdk|server|device-sim|firmware-bridge|test)\/[\w./-]*)`/g)].map(
      ([, path]) => path ?? '',
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test('scripts: every npm script it names → is one', () => {
    const scripts = Object.keys(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts as object);
    const named = [...readme.matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name]) => name ?? '');
    expect(named.filter((name) => !scripts.includes(name))).toEqual([]);
  });
});

describe('settings', () => {
  test('help: every setting it lists → is read', () => {
    for (const { name } of SETTINGS)
      expect(() => readSettings({ [name]: '\u0000' })).not.toThrow(/expected a known setting/);
  });

  test('misspelt name → refused, with the name', () => {
    expect(() => readSettings({ FUSELINK_PROT: '1' })).toThrow(/FUSELINK_PROT: expected a known setting/);
  });

  test.each([
    ['FUSELINK_PORT', '70000', /expected a whole number from 0 to 65535, got "70000"/],
    ['FUSELINK_PUBLIC_URL', 'ftp://x', /expected http/],
    ['FUSELINK_TLS_CERT', '/cert.pem', /expected both or neither/],
    ['FUSELINK_BLOBS', 'tape:', /expected disk:/],
    ['FUSELINK_TRUST_PROXY', 'maybe', /expected true or false/],
  ])('%s=%s → what was expected and what came', (name, value, message) => {
    expect(() => readSettings({ [name]: value })).toThrow(message);
  });
});
