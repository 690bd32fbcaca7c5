import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodePublicKey, decodeSecretKey, nodeCrypto } from '#sdk/seal/node';
import { type RunOptions, runCli } from '../testing.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-keygen-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const cli = (args: string[], options: RunOptions = {}) =>
  runCli(args, { ...options, env: { FUSELINK_CREDENTIALS: join(folder, 'credentials'), ...options.env } });

/** A keyboard on which these lines are typed, one for each question. */
function keyboard(...lines: string[]) {
  const raw: boolean[] = [];
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) });
  for (const line of lines) input.write(line);
  return { input, raw };
}

describe('fuselink keygen', () => {
  test.each([
    ['recipient', [], 'x-wing', 'fuselink_pub1_'],
    ['recipient', ['--algorithm', 'ml-kem-768'], 'ml-kem-768', 'fuselink_pub1_'],
    ['signer', ['--signing'], 'ed25519', 'fuselink_verify1_'],
    ['signer', ['--signing', '--algorithm', 'ml-dsa-65'], 'ml-dsa-65', 'fuselink_verify1_'],
  ] as const)(
    'a %s key %j → %s: public on stdout alone, private in a file of 0600',
    async (purpose, more, algorithm, prefix) => {
      const path = join(folder, 'a.key');
      const made = await cli(['keygen', path, ...more]);
      expect(made.code).toBe(0);
      expect(made.out).toMatch(new RegExp(`^${prefix}[\\w-]+\n$`));
      const publicKey = decodePublicKey(nodeCrypto, purpose, made.out.trim());
      expect(publicKey.algorithm).toBe(algorithm);
      const secret =
        (await readFile(path, 'utf8')).split('\n').find((line) => line !== '' && !line.startsWith('#')) ?? '';
      expect(decodeSecretKey(nodeCrypto, purpose, secret).publicKey).toEqual(publicKey.publicKey);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect(made.out + made.err).not.toContain(secret);
    },
  );

  test('without a file → in the credential folder; there already → refused and untouched; --show tells the same', async () => {
    const made = JSON.parse((await cli(['keygen', '--json'])).out);
    expect(made.path).toBe(join(folder, 'credentials', 'recipient.key'));
    const before = await readFile(made.path, 'utf8');
    const again = await cli(['keygen']);
    expect([again.code, again.err.includes('is there already')]).toEqual([1, true]);
    expect(await readFile(made.path, 'utf8')).toBe(before);
    const shown = await cli(['keygen', '--show']);
    expect([shown.out.trim(), shown.err.includes(made.words)]).toEqual([made.public_key, true]);
  });

  test('a passphrase typed twice → a locked key; typed once more → opened; differing or none → nothing is made', async () => {
    const path = join(folder, 'locked.key');
    const differing = keyboard('one\r', 'other\r');
    expect((await cli(['keygen', path, '--passphrase'], { stdin: differing.input })).code).toBe(2);
    const none = keyboard('\r');
    expect((await cli(['keygen', path, '--passphrase'], { stdin: none.input })).code).toBe(2);
    await expect(stat(path)).rejects.toThrow();
    const typed = keyboard('sesamee\u007f\r', 'sesame\r');
    const made = await cli(['keygen', path, '--passphrase'], { stdin: typed.input });
    expect([made.code, typed.raw]).toEqual([0, [true, false, true, false]]);
    expect(made.out + made.err).not.toContain('sesame');
    expect(await readFile(path, 'utf8')).toContain('fuselink_locked1_');
    const shown = await cli(['keygen', path, '--show'], { stdin: keyboard('sesame\n').input });
    expect([shown.code, shown.out]).toEqual([0, made.out]);
    const noKeyboard = await cli(['keygen', path, '--show']);
    expect([noKeyboard.code, noKeyboard.err.includes('--passphrase-file')]).toEqual([2, true]);
  });

  test.each([
    [['keygen', '--algorithm', 'rsa']],
    [['keygen', '--signing', '--algorithm', 'x-wing']],
    [['keygen', '--register']],
    [['keygen', 'a', 'b']],
    [['send', 'x', '--seal', '--to', 'a@b.c', '--url', 'http://127.0.0.1:1']],
    [['send', 'x', '--sign', '--url', 'http://127.0.0.1:1']],
    [['open']],
    [['open', 'a', 'b']],
  ])('fuselink %j → exit 2, nothing made', async (args) => {
    const ran = await cli(args, { env: { FUSELINK_KEY: 'k' } });
    expect([ran.code, ran.out]).toEqual([2, '']);
    await expect(stat(join(folder, 'credentials'))).rejects.toThrow();
  });
});
