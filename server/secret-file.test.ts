import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeCrypto } from './adapters/node/crypto.ts';
import { nodeRandom } from './adapters/node/random.ts';
import { loadSecret, rotatedSecret, SecretError, writeSecret } from './secret-file.ts';
import { createKeyring } from './usecases/sealing/keyring.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fuselink-secret-'));
  file = join(folder, 'data.secret');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = (over: { inline?: string; dataExists?: boolean } = {}) =>
  loadSecret({ file, inline: over.inline ?? null, dataExists: over.dataExists ?? false, random: nodeRandom });

describe('keyring file', () => {
  test('first start: nothing there → made, 0600, nothing left beside it; second start → the same', () => {
    const first = load();
    expect(first.created).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['data.secret']);
    const second = load({ dataExists: true });
    expect(second.created).toBe(false);
    expect(second.keys).toEqual(first.keys);
  });

  test('existing data without it → refused, with what to do', () => {
    expect(() => load({ dataExists: true })).toThrow(/Restore it from your backup/);
    expect(existsSync(file)).toBe(false);
  });

  test('readable by others → refused, with the command that mends it', () => {
    load();
    chmodSync(file, 0o640);
    expect(() => load()).toThrow(/chmod 600/);
  });

  test.each([
    ['no JSON', 'hello'],
    ['another JSON', '{}'],
    ['another version', '{"fuselink_secret":2,"current":1,"keys":{"1":"'.concat('0'.repeat(64), '"}}')],
    ['a short key', '{"fuselink_secret":1,"current":1,"keys":{"1":"00"}}'],
    ['a current that is not there', `{"fuselink_secret":1,"current":2,"keys":{"1":"${'0'.repeat(64)}"}}`],
    ['a version over 255', `{"fuselink_secret":1,"current":256,"keys":{"256":"${'0'.repeat(64)}"}}`],
    ['no keys', '{"fuselink_secret":1,"current":1,"keys":{}}'],
  ])('damaged: %s → refused, without a word of it in the message', (_what, text) => {
    writeFileSync(file, text, { mode: 0o600 });
    expect(() => load()).toThrow(SecretError);
    expect(() => load({ inline: text })).toThrow(/FUSELINK_SECRET: expected/);
    try {
      load();
    } catch (error) {
      expect((error as Error).message).not.toContain('0000');
    }
  });

  test('rotation: a new version seals, the old one still opens; a ring without the old → null', () => {
    const first = load().keys;
    const options = { crypto: nodeCrypto, random: nodeRandom };
    const sealed = createKeyring(first, options).seal('seed', 'user', new Uint8Array([1, 2, 3]));
    const second = rotatedSecret(first, nodeRandom);
    writeSecret(file, second);
    const ring = createKeyring(load().keys, options);
    expect(ring.current).toBe(2);
    expect(ring.open('seed', 'user', sealed)).toEqual(new Uint8Array([1, 2, 3]));
    expect(ring.open('seed', 'somebody else', sealed)).toBeNull();
    expect(ring.open('other purpose', 'user', sealed)).toBeNull();
    const alone = new Map([...second.keys].filter(([version]) => version === 2));
    expect(createKeyring({ current: 2, keys: alone }, options).open('seed', 'user', sealed)).toBeNull();
  });

  test('race: two processes start first at the same moment → one keyring, which both use', async () => {
    const script = `
      import { loadSecret } from ${JSON.stringify(new URL('secret-file.ts', import.meta.url).pathname)};
      import { nodeRandom } from ${JSON.stringify(new URL('adapters/node/random.ts', import.meta.url).pathname)};
      const { keys } = loadSecret({ file: ${JSON.stringify(file)}, inline: null, dataExists: false, random: nodeRandom });
      process.stdout.write(Buffer.from(keys.keys.get(1)).toString('hex'));`;
    const path = join(folder, 'start.mts');
    writeFileSync(path, script);
    const start = () =>
      promisify(execFile)(process.execPath, ['--import', 'tsx', path], { cwd: join(import.meta.dirname, '..') });
    const [a, b, c] = await Promise.all([start(), start(), start()]);
    expect(new Set([a.stdout, b.stdout, c.stdout]).size).toBe(1);
    expect(readFileSync(file, 'utf8')).toContain(a.stdout);
    expect(readdirSync(folder).sort()).toEqual(['data.secret', 'start.mts']);
  });
});
