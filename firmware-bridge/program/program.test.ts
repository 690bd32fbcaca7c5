import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testCertificate } from '../../sdk/node/testing/certificate.ts';
import { CONFIG_SCHEMA } from './config.ts';
import { EXIT, runProgram } from './program.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-program-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const KEY = 'd4'.repeat(32);

async function run(args: string[], stopped: Promise<void> = Promise.resolve()) {
  const io = { out: '', err: '' };
  const code = await runProgram(args, {
    out: (text) => {
      io.out += text;
    },
    err: (text) => {
      io.err += text;
    },
    stopped,
  });
  return { code, ...io };
}

async function config(value: object, key: string = KEY): Promise<string> {
  const path = join(folder, 'bridge.json');
  await writeFile(path, JSON.stringify(value));
  await writeFile(join(folder, 'gateway.key'), `${key}\n`);
  return path;
}

const BASE = { server: 'http://127.0.0.1:1', gateway_key_file: 'gateway.key', data: 'data' };

describe('program', () => {
  test('--help, --schema → 0; an unknown option → 2; no configuration → 3 with the file', async () => {
    expect(await run(['--help'])).toMatchObject({ code: EXIT.ok, out: expect.stringContaining('Exit codes') });
    expect(JSON.parse((await run(['--schema'])).out)).toEqual(JSON.parse(JSON.stringify(CONFIG_SCHEMA)));
    expect((await run(['--no-such'])).code).toBe(EXIT.usage);
    expect(await run(['-c', join(folder, 'none.json')])).toMatchObject({
      code: EXIT.config,
      err: expect.stringContaining('ENOENT'),
    });
  });

  test('a wrong configuration → all problems at once, each with its place', async () => {
    const path = await config({
      server: '',
      listen: 'x',
      limits: { connections_max: 0, nonsense: 1 },
      uplink: { when_full: 'maybe' },
    });
    const { code, err } = await run(['-c', path]);
    expect(code).toBe(EXIT.config);
    for (const part of [
      'server:',
      'gateway_key_file:',
      'data:',
      'listen:',
      'limits.connections_max:',
      'limits.nonsense:',
      'uplink.when_full:',
    ]) {
      expect(err).toContain(part);
    }
  });

  test.each([
    ['neither listen nor broker', {}, 'got neither'],
    ['an address that is none', { listen: ['http://x'] }, 'expected mqtt://'],
    ['TLS without a certificate', { listen: ['mqtts://127.0.0.1:0'] }, 'tls: expected cert and key'],
    ['WebSocket over TLS without a certificate', { listen: ['wss://127.0.0.1:0'] }, 'tls: expected cert and key'],
    [
      'a mapping to no device',
      { broker: { url: 'mqtt://x', topics: [{ filter: '#', device: 'a/b', channel: 'c' }] } },
      'broker.topics[0].device',
    ],
  ])('%s → 3, said how', async (_name, extra, said) => {
    const { code, err } = await run(['-c', await config({ ...BASE, ...extra })]);
    expect([code, err]).toEqual([EXIT.config, expect.stringContaining(said)]);
  });

  test('--check: the server is not there → 4; a file that holds no key → 3, without what is in it', async () => {
    const path = await config({ ...BASE, listen: ['mqtt://127.0.0.1:0'] });
    expect((await run(['-c', path, '--check'])).code).toBe(EXIT.unreachable);
    await config({ ...BASE, listen: ['mqtt://127.0.0.1:0'] }, 'my-secret-password');
    const wrong = await run(['-c', path, '--check', '--json']);
    expect(wrong.code).toBe(EXIT.config);
    expect(wrong.out + wrong.err).not.toContain('my-secret-password');
    expect(JSON.parse(wrong.out)).toMatchObject({ ok: false });
  });

  test('every transport: TCP, TLS, WebSocket, both → a device that is unknown is answered 3 while the server is away', async () => {
    const { cert, key } = testCertificate();
    await writeFile(join(folder, 'cert.pem'), cert);
    await writeFile(join(folder, 'key.pem'), key);
    const path = await config({
      ...BASE,
      listen: ['mqtt', 'mqtts', 'ws', 'wss'].map((scheme) => `${scheme}://127.0.0.1:0`),
      tls: { cert: 'cert.pem', key: 'key.pem' },
      http: '127.0.0.1:0',
    });
    let stop = () => {};
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    const lines: string[] = [];
    let httpKnown = () => {};
    const listening = new Promise<void>((resolve) => {
      httpKnown = resolve;
    });
    const running = runProgram(['-c', path, '--json'], {
      out: (text) => {
        lines.push(text);
        if (text.includes('"http"')) httpKnown();
      },
      err: () => {},
      stopped,
    });
    await listening;
    const urls = lines
      .map((line) => JSON.parse(line))
      .flatMap(({ listening: url }) => (url === undefined ? [] : [url as string]));
    expect(urls.map((url) => new URL(url).protocol)).toEqual(['mqtt:', 'mqtts:', 'ws:', 'wss:']);
    for (const url of urls) {
      const client = mqtt.connect(url, {
        username: 'pump',
        password: KEY,
        protocolVersion: 4,
        reconnectPeriod: 0,
        rejectUnauthorized: false,
      });
      const code = await new Promise((resolve) =>
        client.once('error', (error) => resolve((error as Error & { code?: number }).code)),
      );
      expect([url, code]).toEqual([url, 3]);
      client.end(true);
    }
    const http = JSON.parse(lines.at(-1) ?? '').http as string;
    expect(await (await fetch(`${http}/healthz`)).json()).toMatchObject({ status: 'ok', server: 'away' });
    const metrics = await (await fetch(`${http}/metrics`)).text();
    expect(metrics).toContain('fuselink_bridge_refused_sign_ins_total{code="3"} 4');
    expect((await fetch(`${http}/other`)).status).toBe(404);
    stop();
    expect(await running).toBe(EXIT.ok);
  });
});
