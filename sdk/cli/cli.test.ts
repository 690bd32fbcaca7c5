import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FuselinkError } from '#sdk/node';
import type { FakeRelay } from '../node/testing/fake-relay.ts';
import { fakeRelay } from '../node/testing/fake-relay.ts';
import { EXIT, exitCodeOf, UsageError } from './exit-codes.ts';
import { parseDuration } from './options.ts';
import { COMMANDS } from './program.ts';
import { barText, plain, showBytes, showDuration } from './terminal.ts';
import { type Ran, type RunOptions, runCli } from './testing.ts';

let relay: FakeRelay;
let folder: string;

beforeEach(async () => {
  relay = await fakeRelay();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-cli-'));
});

afterEach(async () => {
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

const cli = (args: string[], over: RunOptions = {}): Promise<Ran> =>
  runCli(args, {
    ...over,
    env: {
      FUSELINK_URL: relay.url,
      FUSELINK_KEY: 'good-key',
      FUSELINK_STATE: join(folder, 'state'),
      FUSELINK_CREDENTIALS: join(folder, 'credentials'),
      ...over.env,
    },
  });

async function file(name: string, bytes: Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

describe('fuselink send', () => {
  test('send: one file → its link alone on stdout, exit 0; the receiver gets the same bytes', async () => {
    const bytes = randomBytes(100_000);
    const sent = await cli(['send', await file('a b.bin', bytes), '--recipient', 'ops@example.com', '--ttl', '1h']);
    expect(sent).toMatchObject({ code: 0, out: expect.stringMatching(/^http:\/\/\S+\/get\/\S+\n$/) });
    expect(relay.held[0]).toMatchObject({ filename: 'a b.bin', recipient: 'ops@example.com', ttl: '3600' });
    const got = await cli(['receive', sent.out.trim(), '-o', `${folder}/in.bin`]);
    expect(got).toMatchObject({ code: 0, out: `${folder}/in.bin\n` });
    expect((await readFile(`${folder}/in.bin`)).equals(bytes)).toBe(true);
  });

  test('send: several files, one missing → the others are sent in order, exit 1 and which one', async () => {
    const files = [await file('1', Buffer.from('a')), join(folder, 'none'), await file('3', Buffer.from('c'))];
    const ran = await cli(['send', ...files, '--json']);
    const lines = ran.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(ran.code).toBe(EXIT.failed.code);
    expect(lines.map((line) => line.file)).toEqual(files);
    expect(lines[0]).toMatchObject({
      url: expect.any(String),
      size: 1,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(lines[1]).toMatchObject({ error: { code: 'source_missing' } });
    expect(lines[2]).toMatchObject({ size: 1 });
    expect(ran.err).toContain('none');
  });

  test('send: - → standard input under the name given', async () => {
    const bytes = randomBytes(200_000);
    const ran = await cli(['send', '-', '--name', 'trace.csv', '--json'], { stdin: bytes });
    expect(ran.code).toBe(0);
    expect(relay.held[0]).toMatchObject({ filename: 'trace.csv', size: 200_000 });
  });

  test('send: key from a file, with its line end → accepted; key on no path into any output', async () => {
    const key = await file('key', Buffer.from('good-key\n'));
    const ran = await cli(['send', await file('f', Buffer.from('x')), '--key-file', key], {
      env: { FUSELINK_KEY: '' },
    });
    expect(ran.code).toBe(0);
    const refused = await cli(['send', await file('g', Buffer.from('x'))], { env: { FUSELINK_KEY: 'wrong-secret' } });
    expect(refused.code).toBe(EXIT.refused.code);
    expect(refused.out + refused.err).not.toContain('wrong-secret');
    expect(refused.err).toContain('key_unknown');
  });

  test('send: no key anywhere → exit 2, and it says where one is looked for', async () => {
    const ran = await cli(['send', await file('f', Buffer.from('x'))], { env: { FUSELINK_KEY: '' } });
    expect(ran.code).toBe(EXIT.usage.code);
    expect(ran.err).toContain('credential store');
  });

  test('send: nobody at the address → exit 5 after the wait, and each try is told', async () => {
    const ran = await cli(['send', await file('f', Buffer.from('x')), '--url', 'http://127.0.0.1:1', '--wait', '1']);
    expect(ran.code).toBe(EXIT.notNow.code);
    expect(ran.err).toContain('trying again');
  });

  test('send: on a terminal → a bar that is wiped away; not on one → none', async () => {
    const path = await file('f', randomBytes(400_000));
    expect((await cli(['send', path], { tty: true })).err).toContain('\r');
    expect((await cli(['send', path])).err).not.toContain('\r');
  });
});

describe('fuselink receive', () => {
  test('receive: burned → exit 4; unknown → exit 4; not a link → exit 2; a file in the way → exit 1', async () => {
    const sent = await cli(['send', await file('f', Buffer.from('x'))]);
    const url = sent.out.trim();
    expect((await cli(['receive', url, '-o', await file('there', Buffer.from('y'))])).code).toBe(EXIT.failed.code);
    expect((await cli(['receive', url, '-o', `${folder}/in`])).code).toBe(0);
    expect((await cli(['receive', url, '-o', `${folder}/in2`])).code).toBe(EXIT.gone.code);
    expect((await cli(['receive', `${relay.url}/get/none`])).code).toBe(EXIT.gone.code);
    expect((await cli(['receive', 'nonsense'])).code).toBe(EXIT.usage.code);
    expect((await cli(['receive'])).code).toBe(EXIT.usage.code);
  });

  test('receive: -o - → the very bytes on standard output and nothing else, burned, nothing left on disk', async () => {
    const bytes = randomBytes(300_000);
    const sent = await cli(['send', await file('f.bin', bytes)]);
    const ran = await cli(['receive', sent.out.trim(), '-o', '-']);
    expect(ran.code).toBe(0);
    expect(Buffer.from(ran.out, 'latin1').equals(bytes)).toBe(true);
    expect(relay.held[0]?.burned).toBe(true);
    expect(await readdir(join(folder, 'state', 'standard-output'))).toEqual([]);
    expect((await cli(['receive', sent.out.trim(), '-o', '-', '--json'])).code).toBe(EXIT.usage.code);
  });

  test('receive: -o - and nobody reads → exit 1, not burned, the next run gets it', async () => {
    const sent = await cli(['send', await file('f.bin', Buffer.from('hello'))]);
    const broken = await cli(['receive', sent.out.trim(), '-o', '-'], { brokenOut: true });
    expect(broken.code).toBe(EXIT.failed.code);
    expect(broken.err).toContain('nothing was burned');
    expect(relay.held[0]?.burned).toBe(false);
    expect((await cli(['receive', sent.out.trim(), '-o', '-'])).out).toBe('hello');
    expect(relay.held[0]?.burned).toBe(true);
  });

  test('receive: -o - of what arrives damaged → not a byte on standard output', async () => {
    const sent = await cli(['send', await file('f.bin', randomBytes(1000))]);
    relay.corruptDownloads = 10;
    const ran = await cli(['receive', sent.out.trim(), '-o', '-']);
    expect([ran.code, ran.out]).toEqual([EXIT.failed.code, '']);
    expect(relay.held[0]?.burned).toBe(false);
  });

  test('receive: --json → one object with path, size and digest', async () => {
    const sent = await cli(['send', await file('f.txt', Buffer.from('hello'))]);
    const ran = await cli(['receive', sent.out.trim(), '-o', `${folder}/got`, '--json']);
    expect(JSON.parse(ran.out)).toMatchObject({ path: `${folder}/got`, filename: 'f.txt', size: 5, resumed: false });
  });
});

describe('fuselink: the command line', () => {
  test.each([
    [[], 2],
    [['--help'], 0],
    [['help', 'send'], 0],
    [['nonsense'], 2],
    [['send'], 2],
    [['send', '--nonsense', 'x'], 2],
    [['send', 'x', '--ttl', 'soon'], 2],
    [['send', 'x', '--burn', 'never'], 2],
    [['send', '-', '-'], 2],
    [['send', 'a', 'b', '--name', 'c'], 2],
    [['send', 'x', '--ca', '/nonexistent'], 2],
    [['send', 'x', '--ttl', '10'], 2],
    [['send', 'x', '--url', 'ftp://h'], 2],
  ])('fuselink %j → exit %i, nothing sent', async (args, code) => {
    const ran = await cli(args);
    expect(ran.code).toBe(code);
    expect(ran.out + ran.err).not.toBe('');
    expect(relay.requests).toEqual([]);
  });

  test('fuselink: every command with --help → exit 0 and every one of its options', async () => {
    for (const command of COMMANDS) {
      const ran = await cli([command.name, '--help']);
      expect(ran.code).toBe(0);
      for (const option of Object.keys(command.options)) expect(ran.out).toContain(`--${option}`);
    }
    const all = await cli(['--help']);
    for (const { code } of Object.values(EXIT)) expect(all.out).toMatch(new RegExp(`^ +${code} `, 'm'));
  });

  test.each([
    [new UsageError('x'), 2],
    [new Error('x'), 1],
    [new FuselinkError('source_missing', 'x'), 1],
    [new FuselinkError('digest_mismatch', 'x'), 1],
    [new FuselinkError('payload_too_large', 'x'), 3],
    [new FuselinkError('key_revoked', 'x', { status: 401 }), 3],
    [new FuselinkError('storage_full', 'x', { status: 507 }), 3],
    [new FuselinkError('link_burned', 'x', { status: 410 }), 4],
    [new FuselinkError('unreachable', 'x'), 5],
    [new FuselinkError('internal', 'x', { status: 500 }), 5],
    [new FuselinkError('transfer_leased', 'x', { status: 423 }), 5],
    [new FuselinkError('aborted', 'x'), 130],
  ])('exit status: %s → %i', (error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });

  test('durations and sizes → as people write and read them', () => {
    expect(['90', '90s', '15m', '12h', '7d'].map((text) => parseDuration(text, 'x'))).toEqual([
      90, 90, 900, 43_200, 604_800,
    ]);
    for (const text of ['', '-1', '1.5h', '1w', 'h']) expect(() => parseDuration(text, '--x')).toThrow(UsageError);
    expect([0, 999, 1000, 999_999, 5_368_709_120].map(showBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 KB',
      '1.0 MB',
      '5.4 GB',
    ]);
    expect([0, 95_000, 3_700_000].map(showDuration)).toEqual(['0:00', '1:35', '1:01:40']);
  });

  test('bar: any progress on any width → one line that fits', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.nat(),
        fc.option(fc.nat()),
        fc.nat(),
        fc.integer({ min: 10, max: 300 }),
        (l, bytes, size, r, w) => {
          const text = barText(plain(l), { bytes, sizeBytes: size }, r, w);
          expect(text.length).toBeLessThan(w);
          expect(text).not.toContain('\n');
        },
      ),
    );
  });

  test('plain: names that would steer a terminal → shown as text', () => {
    expect(plain('a\u001b[2Jb\r\nc\u202e')).toBe('a\ufffd[2Jb\ufffd\ufffdc\ufffd');
  });
});

describe('fuselink as a program', () => {
  test('program: killed (-9) half way through a send → the same command goes on, one transfer', async () => {
    const { buildSdk } = await import('../build.ts');
    await buildSdk(join(folder, 'dist'));
    const program = join(folder, 'dist/sdk/cli/fuselink.mjs');
    const bytes = randomBytes(8_000_000);
    const path = await file('big.bin', bytes);
    const env = {
      ...process.env,
      FUSELINK_URL: relay.url,
      FUSELINK_KEY: 'good-key',
      FUSELINK_STATE: join(folder, 'state'),
    };
    const first = spawn(process.execPath, [program, 'send', path], { env, stdio: 'ignore' });
    relay.faults.push({
      on: (request) => request.method === 'PATCH',
      run: async ({ request, socket }) => {
        const held = relay.held[0];
        for await (const chunk of request as AsyncIterable<Buffer>) {
          if (held === undefined) break;
          held.bytes.push(Buffer.from(chunk));
          held.size += chunk.length;
          if (held.size > 2_000_000) break;
        }
        const gone = new Promise((resolve) => first.once('exit', resolve));
        first.kill('SIGKILL');
        await gone;
        socket.destroy();
        return true;
      },
    });
    // The relay does not answer `Expect` for a request a fault took over, so the body starts after the client's wait.
    await new Promise((resolve) => first.once('exit', resolve));
    const second = await cli(['send', path, '--json']);
    expect(second.code).toBe(0);
    expect(relay.held).toHaveLength(1);
    expect(relay.content(relay.finished()[0] as (typeof relay.held)[0]).equals(bytes)).toBe(true);
    expect(relay.requests.filter((line) => line === 'POST /v1/uploads')).toHaveLength(1);
  });

  test('the program: receive -o - into a pipe that is closed early → exit 1, not burned', async () => {
    const { spawn } = await import('node:child_process');
    const program = join(folder, 'dist/sdk/cli/fuselink.mjs');
    const { buildSdk } = await import('../build.ts');
    await buildSdk(join(folder, 'dist'));
    const sent = await cli(['send', await file('big.bin', randomBytes(1_000_000))]);
    const env = { ...process.env, FUSELINK_STATE: join(folder, 'state') };
    const child = spawn(process.execPath, [program, 'receive', sent.out.trim(), '-o', '-'], { env });
    child.stdout.once('data', () => child.stdout.destroy());
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(EXIT.failed.code);
    expect(relay.held[0]?.burned).toBe(false);
  });
});
