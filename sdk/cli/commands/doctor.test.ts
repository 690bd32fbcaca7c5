import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testCertificate } from '../../node/testing/certificate.ts';
import { type FakeRelay, fakeRelay } from '../../node/testing/fake-relay.ts';
import { type RunOptions, runCli } from '../testing.ts';
import { diskFinding } from './doctor.ts';

interface Finding {
  check: string;
  state: string;
  detail: string;
  mend?: string;
}

let relay: FakeRelay;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-doctor-'));
  relay = await fakeRelay();
});
afterEach(async () => {
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

const KEY = 'ab'.repeat(32);

/** What is not in order, by check, and the exit code. */
async function examine(
  args: string[] = [],
  over: RunOptions = {},
): Promise<{ code: number; ill: Record<string, Finding> }> {
  const env = {
    FUSELINK_URL: relay.url,
    FUSELINK_KEY: KEY,
    FUSELINK_STATE: join(folder, 'state'),
    FUSELINK_CREDENTIALS: join(folder, 'credentials'),
    ...over.env,
  };
  const ran = await runCli(['doctor', '--json', ...args], { ...over, env });
  expect(ran.out + ran.err).not.toContain(KEY.slice(0, 8));
  const findings = ran.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Finding);
  // Whatever is not in order comes with what to do about it.
  for (const { state, mend } of findings) expect(mend === undefined).toBe(state === 'ok');
  return {
    code: ran.code,
    ill: Object.fromEntries(findings.filter(({ state }) => state !== 'ok').map((f) => [f.check, f])),
  };
}

function healthy(): void {
  relay.keys.add(KEY);
  for (const path of ['/healthz', '/v1/transfers']) {
    relay.faults.push({
      on: (request) => (request.url ?? '').startsWith(path),
      run: ({ response }) => {
        response.end('{}');
        return true;
      },
    });
  }
}

describe('fuselink doctor: what is wrong, and how to mend it', () => {
  test('a name that nobody knows → the name fails, and DNS is what to look at', async () => {
    const { code, ill } = await examine(['--url', 'http://relay.invalid']);
    expect(code).toBe(1);
    expect(ill['name']).toMatchObject({ state: 'fail', detail: expect.stringContaining('relay.invalid') });
    expect(ill['name']?.mend).toContain('DNS');
  });

  test('a certificate nobody vouches for → --ca and the clock; with its issuer → in order', async () => {
    await relay.close();
    relay = await fakeRelay(testCertificate());
    const untrusted = await examine();
    expect(untrusted.code).toBe(1);
    expect(untrusted.ill['server']?.mend).toMatch(/--ca.*clock/);
    expect(relay.requests).toEqual([]);
    const ca = join(folder, 'ca.pem');
    await writeFile(ca, testCertificate().cert);
    healthy();
    expect(await examine(['--ca', ca])).toEqual({ code: 0, ill: {} });
  });

  test('a proxy that refuses → user and password are what to look at', async () => {
    const proxy = createServer((_, response) => {
      response.writeHead(407, { 'Content-Length': '0' });
      response.end();
    });
    proxy.on('connect', (_, socket) =>
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'),
    );
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    try {
      const { code, ill } = await examine(['--url', 'https://relay.invalid', '--proxy', address]);
      expect(code).toBe(1);
      expect(Object.keys(ill)).toEqual(['server']);
      expect(ill['server']?.mend).toMatch(/user and password/);
    } finally {
      await new Promise((resolve) => proxy.close(resolve));
    }
  });

  test('something else at the address → not a Fuselink server', async () => {
    relay.faults.push({
      on: () => true,
      run: ({ response }) => {
        response.writeHead(404).end('<h1>It works</h1>');
        return true;
      },
    });
    const { code, ill } = await examine();
    expect(code).toBe(1);
    expect(ill['server']).toMatchObject({
      detail: expect.stringContaining('404'),
      mend: expect.stringMatching(/Fuselink/),
    });
  });

  test('a page in the place of the answer to an upload → the proxy is what to look at, exit 0', async () => {
    healthy();
    relay.faults.push({
      on: (request) => request.url === '/v1/upload',
      run: ({ request, response }) => {
        request.resume();
        response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Sign in to the network</h1>');
        return true;
      },
    });
    const { code, ill } = await examine();
    expect(code).toBe(0);
    expect(ill['bodies']).toMatchObject({ state: 'warn', mend: expect.stringContaining('proxy') });
  });

  test('a revoked key → another one has to be imported', async () => {
    relay.faults.push({
      on: (request) => (request.url ?? '').startsWith('/v1/transfers'),
      run: ({ response }) => {
        response.writeHead(401, { 'Content-Type': 'application/problem+json' });
        response.end(JSON.stringify({ code: 'key_revoked', status: 401, detail: 'This key was revoked.' }));
        return true;
      },
    });
    healthy();
    const { code, ill } = await examine();
    expect(code).toBe(1);
    expect(ill['key']?.mend).toContain('fuselink key import --replace');
  });

  test('a credential store that others may read → its mode is what to change, not the key', async () => {
    healthy();
    const credentials = join(folder, 'credentials');
    await runCli(['key', 'import', '--folder', credentials], { stdin: KEY });
    await mkdir(credentials, { recursive: true });
    await chmod(credentials, 0o777);
    const { code, ill } = await examine([], { env: { FUSELINK_KEY: '' } });
    expect(code).toBe(1);
    expect(ill['credentials']).toMatchObject({ state: 'fail', detail: expect.stringMatching(/chmod 700/) });
    expect(ill['credentials']?.mend).not.toContain('key import');
  });

  test('a state folder that cannot be, a disk that is nearly full → told', async () => {
    healthy();
    const file = join(folder, 'file');
    await writeFile(file, '');
    const { code, ill } = await examine([], { env: { FUSELINK_STATE: join(file, 'below') } });
    expect(code).toBe(1);
    expect(ill['disk']?.mend).toContain('FUSELINK_STATE');
    expect(diskFinding('/d', 104_857_600)).toMatchObject({ state: 'ok' });
    expect(diskFinding('/d', 104_857_599)).toMatchObject({ state: 'warn', mend: expect.stringContaining('make room') });
  });
});
