import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeviceId } from '../../server/domain/ids.ts';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { startFlakyProxy } from '../../test/support/flaky-proxy.ts';
import { readLink } from '../../test/support/read-back.ts';
import { type RunResult, run } from '../../test/support/run.ts';
import { seededBytes } from '../../test/support/seeded-bytes.ts';
import { startTestServer, type TestServer, temporaryFolder } from '../../test/support/test-server.ts';
import { until } from '../../test/support/until.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { testCertificate } from '../node/testing/certificate.ts';
import { PYTHON_ENV, python } from './testing/interpreters.ts';

const { program, missing } = python();

describe.skipIf(missing !== null)(`python3 -m fuselink${missing === null ? '' : ` (${missing})`}`, () => {
  let server: TestServer;
  let folder: { path: string; remove(): Promise<void> };
  let key: string;
  let env: Record<string, string>;
  let runs = 0;
  const place = (name: string) => join(folder.path, name);

  const fuselink = (args: string[], more: Record<string, string> = {}, input = ''): Promise<RunResult> =>
    run(program, ['-m', 'fuselink', ...args], { cwd: folder.path, env: { ...env, ...more }, input });

  beforeAll(async () => {
    server = await startTestServer();
    folder = await temporaryFolder();
    ({ key } = await server.device());
    env = {
      ...PYTHON_ENV,
      FUSELINK_URL: server.url,
      FUSELINK_KEY: key,
      FUSELINK_KEY_FILE: '',
      FUSELINK_CA: '',
      FUSELINK_STATE: place('state'),
      FUSELINK_CREDENTIALS: place('credentials'),
    };
    await writeFile(place('a.txt'), 'first\n');
    await writeFile(place('b.bin'), seededBytes(200_000, 5));
  });
  afterAll(async () => {
    await server.close();
    await folder.remove();
  });

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
    expect((await readLink(server, first)).bytes.toString()).toBe('first\n');
    expect((await readLink(server, second)).bytes.equals(seededBytes(200_000, 5))).toBe(true);
    const piped = await fuselink(['send', '-', '--name', 'piped', '--json'], {}, 'from a pipe');
    const told = JSON.parse(piped.stdout);
    expect(told).toMatchObject({ file: '-', filename: 'piped', size: 11 });
    expect((await readLink(server, told.url)).bytes.toString()).toBe('from a pipe');
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
    expect(ran.stderr).not.toContain(key);
  });

  test('one of two files fails → the other is sent, the exit status tells of the failure, JSON of both', async () => {
    const ran = await fuselink(['send', 'nowhere.txt', 'a.txt', '--json']);
    const lines = ran.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(ran.code).toBe(1);
    expect(lines[0]).toMatchObject({ file: 'nowhere.txt', error: { code: 'source_unreadable', resumable: false } });
    expect(lines[1]).toMatchObject({ file: 'a.txt', size: 6 });
  });

  test('killed (-9) on the way → the same command goes on where it stopped: one transfer, whole', async () => {
    const size = 6_000_000;
    const content = seededBytes(size, 9);
    await writeFile(place('large.bin'), content);
    let again = false;
    // The second time the line does not let the whole file through: it has to go on.
    const line = await startFlakyProxy(server.port, () =>
      again ? { cutAfterUpBytes: size - 1_000_000 } : { cutAfterUpBytes: 4_000_000, how: 'silence' },
    );
    const state = place(`killed-${++runs}`);
    const first = spawn(program, ['-m', 'fuselink', 'send', 'large.bin'], {
      cwd: folder.path,
      env: { ...process.env, ...env, FUSELINK_URL: line.url, FUSELINK_STATE: state },
      stdio: 'ignore',
    });
    await until('the line went silent', () => line.cuts > 0);
    const gone = once(first, 'exit');
    first.kill('SIGKILL');
    await gone;
    again = true;
    const second = await fuselink(['send', 'large.bin'], { FUSELINK_URL: line.url, FUSELINK_STATE: state });
    expect([second.code, line.cuts]).toEqual([0, 1]);
    await line.close();
    const link = new URL(second.stdout.trim());
    expect((await readLink(server, link.href)).bytes.equals(content)).toBe(true);
    // Nothing that opens an upload is left behind, and what was there was its owner's alone.
    expect((await readdir(state)).filter((name) => /^u.*(?<!\.lock)$/.test(name))).toEqual([]);
    expect((await stat(state)).mode & 0o077).toBe(0);
  });

  test('TLS: the right issuer → sent; the system’s list or another issuer → nothing is sent, and why is said', async () => {
    const certificate = testCertificate();
    await writeFile(place('cert.pem'), certificate.cert);
    await writeFile(place('tls.key'), certificate.key);
    await writeFile(place('other.pem'), rootCertificates[0] ?? '');
    const secure = await startTestServer({ FUSELINK_TLS_CERT: place('cert.pem'), FUSELINK_TLS_KEY: place('tls.key') });
    try {
      const device = await secure.device();
      const url = `https://localhost:${secure.port}`;
      const told = { FUSELINK_URL: url, FUSELINK_KEY: device.key };
      const good = await fuselink(['send', 'a.txt', '--ca', 'cert.pem'], told);
      expect([good.code, good.stdout]).toEqual([0, expect.stringContaining('/get/')]);
      for (const ca of [[], ['--ca', 'other.pem']]) {
        const bad = await fuselink(['send', 'a.txt', '--json', ...ca], told);
        expect(bad.code).toBe(1);
        expect(JSON.parse(bad.stdout).error).toMatchObject({ code: 'tls_untrusted', status: null });
      }
      // Another name for the same machine, which the certificate does not have.
      const wrongName = { ...told, FUSELINK_URL: `https://127.1:${secure.port}` };
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
    const ran = await fuselink(['send', 'a.txt', '--json', '--wait', '0'], { FUSELINK_URL: url });
    expect([ran.code, JSON.parse(ran.stdout).error.code]).toEqual([3, 'not_fuselink']);
    expect(asked).toBeGreaterThan(0);
    portal.close();
  });

  describe('with a credential store', () => {
    const noKey = { FUSELINK_KEY: '' };

    test('key import, show, send, rotate by daemon, send → another key, the old one refused', async () => {
      const { key: fresh, deviceId } = await server.device();
      const store = { ...noKey, FUSELINK_CREDENTIALS: place('rotating'), FUSELINK_STATE: place('rotating-state') };
      const imported = await fuselink(['key', 'import'], store, `${fresh}\n`);
      expect([imported.code, imported.stdout]).toEqual([0, expect.stringMatching(/^[0-9a-f]{16}\n$/)]);
      expect((await fuselink(['key', 'show'], store)).stdout).toBe(`${imported.stdout.trim()}, generation 1\n`);
      expect((await fuselink(['send', 'a.txt'], store)).code).toBe(0);
      const plan = { soakMs: 0 };
      await orderRotation(server.deps, server.operator, deviceId as DeviceId, { verb: 'rotate', plan });
      const daemon = spawn(program, ['-m', 'fuselink', 'daemon', '--every', '1'], {
        cwd: folder.path,
        env: { ...process.env, ...env, ...store },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let complaints = '';
      daemon.stderr.on('data', (data: Buffer) => (complaints += data.toString()));
      try {
        const record = await fuselink(['record'], store, '{"celsius": 21}\nplain text\n');
        expect([record.code, record.stderr]).toEqual([0, '']);
        await until('the old key is refused', async () => {
          const { status } = await fetch(`${server.url}/v1/device`, { headers: { 'X-API-Key': fresh } });
          return status === 401;
        });
        const slot = (name: string) => readFile(place(`rotating/${name}`), 'hex');
        await until('one key is in both slots', async () => (await slot('slot0')) === (await slot('slot1')));
        const shown = await fuselink(['key', 'show', '--json'], store);
        expect(JSON.parse(shown.stdout)).toMatchObject({ generation: 2 });
        await until('the readings were sent', () => complaints.includes('readings-1.ndjson'));
      } finally {
        const gone = once(daemon, 'exit');
        daemon.kill('SIGTERM');
        expect(await gone).toEqual([143, null]);
      }
      expect((await fuselink(['send', 'a.txt'], store)).code).toBe(0);
      expect(JSON.parse((await fuselink(['status', '--json'], store)).stdout)).toMatchObject({
        device: { rotation: { state: 'IDLE' } },
        rotation: { phase: 'SETTLED' },
      });
      expect(complaints).not.toContain(fresh);
      expect((await stat(place('rotating/slot0'))).mode & 0o777).toBe(0o600);
    });

    test('key import: another key in the place of one → refused until --replace says so; nonsense → refused, not repeated', async () => {
      const store = { ...noKey, FUSELINK_CREDENTIALS: place('replaced') };
      const keys = ['11'.repeat(32), '22'.repeat(32)];
      expect((await fuselink(['key', 'import'], store, keys[0])).code).toBe(0);
      expect((await fuselink(['key', 'import'], store, keys[0])).code).toBe(0);
      const refused = await fuselink(['key', 'import'], store, keys[1]);
      expect([refused.code, refused.stderr.includes(String(keys[1]))]).toEqual([2, false]);
      expect((await fuselink(['key', 'import', '--replace'], store, keys[1])).code).toBe(0);
      const nonsense = await fuselink(['key', 'import', '--replace'], store, 'hunter2-hunter2');
      expect([nonsense.code, nonsense.stderr.includes('hunter2')]).toEqual([2, false]);
    });

    test.each(['file', 'folder'])(
      'a %s that others could read or replace → refused, with how to mend it',
      async (which) => {
        const path = place(`open-${which}`);
        const store = { ...noKey, FUSELINK_CREDENTIALS: path };
        await fuselink(['key', 'import'], store, '33'.repeat(32));
        await chmod(which === 'file' ? join(path, 'slot0') : path, which === 'file' ? 0o644 : 0o777);
        const ran = await fuselink(['key', 'show', '--json'], store);
        expect(ran.code).toBe(1);
        expect(ran.stderr).toMatch(which === 'file' ? /chmod 600 .*slot0/ : /chmod 700 /);
      },
    );

    test('the folder of the Node client → refused: two clients would rotate one key', async () => {
      await mkdir(place('of-node'), { mode: 0o700 });
      await writeFile(place('of-node/credentials.nvs'), '');
      const ran = await fuselink(['key', 'show'], { ...noKey, FUSELINK_CREDENTIALS: place('of-node') });
      expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('a folder and a device of its own')]);
    });
  });

  test('no key is in the state folder, in names or in contents', async () => {
    for (const name of await readdir(place('state'), { recursive: true })) {
      const path = join(place('state'), name);
      if ((await stat(path)).isFile()) expect(await readFile(path, 'latin1')).not.toContain(key);
    }
  });
});
