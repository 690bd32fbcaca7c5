import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EventReader, listenTo } from '../../server/testing/event-reader.ts';
import { type Kit, startKit, type TestAccount } from '../../server/testing/server-kit.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';

const DEPLOY = join(import.meta.dirname, '../../server/deploy');
const snippet = (name: string) => readFileSync(join(DEPLOY, name), 'utf8');

let kit: Kit;
let account: TestAccount;
beforeAll(async () => {
  kit = await startKit({ FUSELINK_TRUST_PROXY: 'true' });
  account = await kit.account();
});
afterAll(() => kit.stop());

interface Proxy {
  url: string;
  stop(): Promise<void>;
}

/** The snippet with our ports in it, and without TLS: that is not the subject, and `deploy.test.ts` has it checked whole. */
const PROXIES: Record<'nginx' | 'caddy', (folder: string, port: number) => { args: string[]; env: object }> = {
  nginx(folder, port) {
    const served = snippet('nginx.conf')
      .replaceAll('127.0.0.1:8787', new URL(kit.url).host)
      .replace('listen 443 ssl;', `listen 127.0.0.1:${port};`)
      .replaceAll(/^ *ssl_.*$/gm, '');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    const whole = `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/log; events {} http { ${temporary.join(' ')} ${served} }`;
    writeFileSync(join(folder, 'nginx.conf'), whole);
    return { args: ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'log')], env: {} };
  },
  caddy(folder, port) {
    const path = join(folder, 'Caddyfile');
    writeFileSync(path, `{\n\tadmin off\n}\n${snippet('Caddyfile')}`);
    const env = { FUSELINK_SITE: `http://127.0.0.1:${port}`, FUSELINK_NODES: new URL(kit.url).host };
    const homes = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    return { args: ['run', '--adapter', 'caddyfile', '--config', path], env: { ...env, ...homes } };
  },
};

async function startProxy(name: 'nginx' | 'caddy'): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), `fuselink-${name}-`));
  const port = await freePort();
  const { args, env } = PROXIES[name](folder, port);
  const child: ChildProcess = spawn(name, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(`${url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until(`${name} answers`, isUp);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

describe.each(['nginx', 'caddy'] as const)('behind %s, as the snippet has it', (name) => {
  let proxy: Proxy | null = null;
  const isThere = spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
  const missing = `${name} is not installed (apt-get install ${name})`;
  beforeAll(async () => {
    if (isThere) proxy = await startProxy(name);
  });
  afterAll(() => proxy?.stop());

  it(`events through ${name}: a stream that stays open → each event is there while it is open`, async (test) => {
    if (proxy === null) return test.skip(missing);
    const reader: EventReader = await listenTo(proxy.url, { 'x-api-key': account.apiKey });
    try {
      expect(reader.status).toBe(200);
      for (const body of ['one', 'two']) {
        const { json } = await kit.call('POST', '/v1/upload', { apiKey: account.apiKey, body });
        // The stream never ends: were it held back to be filled, this would wait for ever.
        let told = await reader.next();
        while (told.data.action !== 'transfer.sent') told = await reader.next();
        expect(told.data.subject).toBe(json.id);
      }
    } finally {
      reader.close();
    }
  });

  it(`an upload through ${name}: half a body → the relay has begun; the rest → the whole file, and nothing of /metrics`, async (test) => {
    if (proxy === null) return test.skip(missing);
    const half = Buffer.alloc(300_000, 'half');
    const { hostname, port } = new URL(proxy.url);
    const headers = { 'x-api-key': account.apiKey, 'content-length': String(2 * half.length) };
    const sending = request({ hostname, port, method: 'POST', path: '/v1/upload', headers });
    const answered = new Promise<{ url: string; size: number }>((resolve, reject) => {
      sending.once('error', reject).once('response', (answer) => {
        let text = '';
        answer.on('data', (piece) => {
          text += piece;
        });
        answer.once('end', () => resolve(JSON.parse(text)));
      });
    });
    sending.write(half);
    const begun = async () => {
      const where = [['state', '=', 'uploading'] as const];
      return (await kit.server.deps.store.count('transfers', { where })).rows === 1;
    };
    await until('the relay receives', begun);
    sending.end(half);
    const { url, size } = await answered;
    expect(size).toBe(2 * half.length);
    const read = await fetch(proxy.url + new URL(url).pathname, { headers: { 'user-agent': 'curl/8' } });
    expect((await read.arrayBuffer()).byteLength).toBe(size);
    expect((await fetch(`${proxy.url}/metrics`)).status).toBe(404);
  });
});
