import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { startFlakyProxy } from '../../test/support/flaky-proxy.ts';
import { readLink } from '../../test/support/read-back.ts';
import { run } from '../../test/support/run.ts';
import { seededBytes } from '../../test/support/seeded-bytes.ts';
import { startTestServer } from '../../test/support/test-server.ts';
import { until } from '../../test/support/until.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { testCertificate } from '../node/testing/certificate.ts';
import { type CliKit, cliKit } from './testing/cli-kit.ts';
import { startForgingProxy } from './testing/forging-proxy.ts';
import { python } from './testing/interpreters.ts';

const { missing } = python();

describe.skipIf(missing !== null)(`python3 -m fuselink${missing === null ? '' : ` (${missing})`}`, () => {
  const kit = cliKit();
  const place = (name: string) => kit.place(name);
  const fuselink: CliKit['fuselink'] = (...words) => kit.fuselink(...words);
  let runs = 0;

  beforeAll(() => writeFile(place('b.bin'), seededBytes(200_000, 5)));

  test('help: every verb, every exit status with its meaning, every variable', async () => {
    const { stdout, code } = await fuselink(['--help']);
    expect(code).toBe(0);
    for (const verb of ['send', 'status', 'record', 'flush', 'daemon', 'key']) expect(stdout).toMatch(`    ${verb} `);
    for (const { code: status, meaning } of Object.values(EXIT)) {
      if (status !== EXIT.gone.code) expect(stdout).toMatch(new RegExp(`${status}[, 143]* +${meaning}`));
    }
    for (const name of ['URL', 'KEY', 'CREDENTIALS', 'STATE', 'CA']) expect(stdout).toContain(`FUSELINK_${name}`);
    const send = await fuselink(['send', '--help']);
    for (const option of ['--recipient', '--ttl', '--note', '--name', '--burn', '--wait', '--json', '--ca']) {
      expect(send.stdout).toContain(option);
    }
  });

  test('send: two files and standard input → a link a line, in order, with the bytes behind them', async () => {
    const sent = await fuselink(['send', 'a.txt', 'b.bin'], {});
    expect([sent.code, sent.stdout.trim().split('\n').length]).toEqual([0, 2]);
    const [first = '', second = ''] = sent.stdout.trim().split('\n');
    expect((await readLink(kit.server, first)).bytes.toString()).toBe('first\n');
    expect((await readLink(kit.server, second)).bytes.equals(seededBytes(200_000, 5))).toBe(true);
    const piped = await fuselink(['send', '-', '--name', 'piped', '--json'], {}, 'from a pipe');
    const told = JSON.parse(piped.stdout);
    expect(told).toMatchObject({ file: '-', filename: 'piped', size: 11 });
    expect((await readLink(kit.server, told.url)).bytes.toString()).toBe('from a pipe');
  });

  test.each([
    ['no file', ['send'], {}, 2],
    ['a file that is not there', ['send', 'nowhere.txt'], {}, 1],
    ['an unknown verb', ['transmit'], {}, 2],
    ['no server', ['send', 'a.txt'], { FUSELINK_URL: '' }, 2],
    ['a URL that is none', ['send', 'a.txt', '--url', 'relay'], {}, 2],
    ['no key and no store', ['send', 'a.txt'], { FUSELINK_KEY: '' }, 2],
    ['a key in no known form', ['send', 'a.txt'], { FUSELINK_KEY: 'abc' }, 2],
    ['an unknown key', ['send', 'a.txt'], { FUSELINK_KEY: '0'.repeat(64) }, 3],
    ['a ttl that is none', ['send', 'a.txt', '--ttl', 'soon'], {}, 2],
    ['a ttl out of range', ['send', 'a.txt', '--ttl', '5'], {}, 2],
    ['nobody listens', ['send', 'a.txt', '--url', 'http://127.0.0.1:1', '--wait', '0'], {}, 5],
  ] as const)('%s → exit status', async (_what, args, more, code) => {
    const ran = await fuselink([...args], { ...more });
    expect([ran.code, ran.stdout]).toEqual([code, '']);
    expect(ran.stderr.length).toBeGreaterThan(10);
    expect(ran.stderr).not.toContain('Traceback');
    expect(ran.stderr).not.toContain(kit.key);
  });

  test('one of two files fails → the other is sent, the exit status tells of the failure, JSON of both', async () => {
    const ran = await fuselink(['send', 'nowhere.txt', 'a.txt', '--json']);
    const lines = ran.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(ran.code).toBe(1);
    expect(lines[0]).toMatchObject({
      file: 'nowhere.txt',
      error: { code: 'source_unreadable', resumable: false },
    });
    expect(lines[1]).toMatchObject({ file: 'a.txt', size: 6 });
  });

  test('killed (-9) on the way → the same command goes on where it stopped: one transfer, whole', async () => {
    const size = 6_000_000;
    const content = seededBytes(size, 9);
    await writeFile(place('large.bin'), content);
    let again = false;
    // The second time the line does not let the whole file through: it has to go on.
    const line = await startFlakyProxy(kit.server.port, () =>
      again ? { cutAfterUpBytes: size - 1_000_000 } : { cutAfterUpBytes: 4_000_000, how: 'silence' },
    );
    const state = place(`killed-${++runs}`);
    const first = spawn(kit.program, ['-m', 'fuselink', 'send', 'large.bin'], {
      cwd: kit.cwd,
      env: {
        ...process.env,
        ...kit.env,
        FUSELINK_URL: line.url,
        FUSELINK_STATE: state,
      },
      stdio: 'ignore',
    });
    await until('the line went silent', () => line.cuts > 0);
    const gone = once(first, 'exit');
    first.kill('SIGKILL');
    await gone;
    again = true;
    const second = await fuselink(['send', 'large.bin'], {
      FUSELINK_URL: line.url,
      FUSELINK_STATE: state,
    });
    expect([second.code, line.cuts]).toEqual([0, 1]);
    await line.close();
    const link = new URL(second.stdout.trim());
    expect((await readLink(kit.server, link.href)).bytes.equals(content)).toBe(true);
    // Nothing that opens an upload is left behind, and what was there was its owner's alone.
    expect((await readdir(state)).filter((name) => /^u.*(?<!\.lock)$/.test(name))).toEqual([]);
    expect((await stat(state)).mode & 0o077).toBe(0);
  });

  test('no words → the help on standard error, and 2', async () => {
    const ran = await fuselink([]);
    expect([ran.code, ran.stdout]).toEqual([2, '']);
    expect(ran.stderr).toContain('exit status:');
  });

  test('whoever reads the links has gone → ended quietly', async () => {
    const command = `'${kit.program}' -m fuselink send a.txt a.txt a.txt | true`;
    const ran = await run('bash', ['-c', command], { cwd: kit.cwd, env: kit.env });
    expect(ran.stderr).not.toMatch(/Traceback|Exception ignored/);
  });

  test('record: a line that is too long among others → told, the others are kept; flush → each link as soon as it is there', async () => {
    const state = { FUSELINK_STATE: place(`recorded-${++runs}`) };
    const lines = ['{"a": 1}', JSON.stringify('x'.repeat(70_000)), 'caf\u00e9', ''].join('\n');
    const recorded = await fuselink(['record', '--json'], state, lines);
    expect([recorded.code, JSON.parse(recorded.stdout).error.code]).toEqual([1, 'reading_too_large']);
    const flushed = await fuselink(['flush'], state);
    expect((await readLink(kit.server, flushed.stdout.trim())).bytes.toString()).toBe('{"a": 1}\n"caf\\u00e9"\n');
    // Two batches, of which the second is refused: the first one's link is told all the same.
    const large = JSON.stringify('y'.repeat(40_000));
    await fuselink(['record'], state, `${large}\n${large}\n${large}\n`);
    const line = await startForgingProxy(kit.server.port);
    let uploads = 0;
    line.forge = (answer) => {
      if (answer.path === '/v1/upload' && ++uploads > 0)
        Object.assign(answer, { status: 403, body: Buffer.from('{}') });
    };
    const half = await fuselink(['flush', '--wait', '0'], {
      ...state,
      FUSELINK_URL: line.url,
    });
    expect(half.code).toBe(3);
    expect(half.stdout.trim().split('\n')).toEqual([expect.stringContaining('/get/')]);
    await line.close();
  });

  test('TLS: the right issuer → sent; the system’s list or another issuer → nothing is sent, and why is said', async () => {
    const certificate = testCertificate();
    await writeFile(place('cert.pem'), certificate.cert);
    await writeFile(place('tls.key'), certificate.key);
    await writeFile(place('other.pem'), rootCertificates[0] ?? '');
    const secure = await startTestServer({
      FUSELINK_TLS_CERT: place('cert.pem'),
      FUSELINK_TLS_KEY: place('tls.key'),
    });
    try {
      const device = await secure.device();
      const url = `https://localhost:${secure.port}`;
      const told = { FUSELINK_URL: url, FUSELINK_KEY: device.key };
      const good = await fuselink(['send', 'a.txt', '--ca', 'cert.pem'], told);
      expect([good.code, good.stdout]).toEqual([0, expect.stringContaining('/get/')]);
      for (const ca of [[], ['--ca', 'other.pem']]) {
        const bad = await fuselink(['send', 'a.txt', '--json', ...ca], told);
        expect(bad.code).toBe(1);
        expect(JSON.parse(bad.stdout).error).toMatchObject({
          code: 'tls_untrusted',
          status: null,
        });
      }
      // Another name for the same machine, which the certificate does not have.
      const wrongName = {
        ...told,
        FUSELINK_URL: `https://127.1:${secure.port}`,
      };
      const misnamed = await fuselink(['send', 'a.txt', '--json', '--wait', '0', '--ca', 'cert.pem'], wrongName);
      expect(JSON.parse(misnamed.stdout).error.code).toBe('tls_untrusted');
      expect((await fuselink(['send', 'a.txt', '--ca', 'a.txt'], told)).code).toBe(2);
    } finally {
      await secure.close();
    }
  });

  test('captive portal: 200 and a page for everything → not taken for success', async () => {
    let asked = 0;
    const portal = createServer((request, response) => {
      asked++;
      request.resume();
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>log in</html>');
    });
    portal.listen(0, '127.0.0.1');
    await once(portal, 'listening');
    const url = `http://127.0.0.1:${(portal.address() as AddressInfo).port}`;
    const ran = await fuselink(['send', 'a.txt', '--json', '--wait', '0'], {
      FUSELINK_URL: url,
    });
    expect([ran.code, JSON.parse(ran.stdout).error.code]).toEqual([3, 'not_fuselink']);
    expect(asked).toBeGreaterThan(0);
    portal.close();
  });

  test('no key is in the state folder, in names or in contents', async () => {
    for (const name of await readdir(place('state'), { recursive: true })) {
      const path = join(place('state'), name);
      if ((await stat(path)).isFile()) expect(await readFile(path, 'latin1')).not.toContain(kit.key);
    }
  });
});
