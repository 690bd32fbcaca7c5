import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DeviceId } from '../../domain/ids.ts';
import type { SendOutcome } from '../../ports/webhook-sender.ts';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { SilenceWatch } from '../device/silence.ts';
import { runWebhooks } from './deliver.ts';

interface Got {
  headers: IncomingHttpHeaders;
  body: string;
}

let kit: Kit;
let account: TestAccount;
let token: string;
let server: Server;
let url: string;
let got: Got[] = [];
let answers: number[] = [];

beforeAll(async () => {
  kit = await startKit({ FUSELINK_WEBHOOKS_ALLOW_PRIVATE: 'true', FUSELINK_DEVICE_SILENT_SECONDS: '3600' });
  server = createServer((req, res) => {
    let body = '';
    req.on('data', (piece) => {
      body += piece;
    });
    req.on('end', () => {
      got.push({ headers: req.headers, body });
      res.writeHead(answers.shift() ?? 204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook-with-a-token`;
});
afterAll(async () => {
  server.close();
  await kit.stop();
});
beforeEach(async () => {
  account = await kit.account();
  ({ token } = await account.signIn());
  got = [];
  answers = [];
});

const deps = () => kit.server.deps;
const call = (method: string, path: string, json?: unknown) =>
  kit.call(method, path, { auth: token, ...(json === undefined ? {} : { json }) });

async function add(events?: string[]): Promise<{ id: string; secret: string }> {
  const { json, status } = await call('POST', '/v1/webhooks', { url, ...(events === undefined ? {} : { events }) });
  expect(status).toBe(201);
  kit.secrets.add(json.secret);
  return json;
}

/** A file that is read to its proven end. */
async function deliver(): Promise<string> {
  const sent = await kit.call('POST', '/v1/upload', { apiKey: account.apiKey, body: 'x' });
  const link = new URL(sent.json.url).pathname;
  kit.secrets.add(link.slice('/get/'.length));
  const { claim } = (await kit.call('POST', `${link}/claim`, { json: {} })).json;
  await kit.call('GET', `${link}/content`, { headers: { 'fuselink-claim': claim } });
  const { sha256 } = sent.json;
  const ack = await kit.call('POST', `${link}/ack`, { json: { sha256 }, headers: { 'fuselink-claim': claim } });
  expect(ack.status).toBe(200);
  return sent.json.id;
}

async function entry(action: string, subject = 'x', detail = {}): Promise<void> {
  const what = { actor: 'test', action, subject, detail, outcome: 'done' as const, from: '10.9.8.7', at_ms: 1 };
  await deps().store.commit([{ kind: 'audit', entry: { chain: account.accountId, ...what } }]);
}

const taken = (count: number) => expect.poll(() => got.length, { timeout: 20_000 }).toBe(count);
const messages = async (id: string) =>
  (await kit.call('GET', `/v1/webhooks/${id}/messages`, { apiKey: account.apiKey })).json.messages;
const actions = async () =>
  (await kit.call('GET', '/v1/audit', { apiKey: account.apiKey })).json.entries.map(
    (e: { action: string }) => e.action,
  );

/** The signature as anybody would make it, without our code. */
function signatureOf({ headers, body }: Got, secret: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
}

describe('webhooks', () => {
  test('a file that is delivered → one message, signed as Standard Webhooks say, with no link, key or address in it', async () => {
    const { secret } = await add();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const id = await deliver();
    await taken(1);
    const [message] = got as [Got];
    expect(message.headers['webhook-signature']).toBe(signatureOf(message, secret));
    expect(JSON.parse(message.body)).toMatchObject({
      type: 'transfer.delivered',
      timestamp: expect.any(String),
      data: { action: 'transfer.delivered', subject: id, seq: expect.any(Number) },
    });
    for (const known of kit.secrets) if (known.length >= 16) expect(message.body.includes(known)).toBe(false);
    expect(message.body).not.toContain('127.0.0.1');
  });

  test('the snippet of the README: ours → authentic; another body, time, secret or signature → not', async () => {
    const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');
    const folder = await mkdtemp(join(tmpdir(), 'fuselink-snippet-'));
    try {
      const file = join(folder, 'verify.mjs');
      writeFileSync(file, /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '');
      const { isAuthentic } = await import(pathToFileURL(file).href);
      const { id, secret } = await add();
      expect((await call('POST', `/v1/webhooks/${id}/test`)).status).toBe(202);
      await taken(1);
      const [{ headers, body }] = got as [Got];
      const nowMs = Number(headers['webhook-timestamp']) * 1000;
      expect(isAuthentic(headers, body, secret, nowMs)).toBe(true);
      expect(isAuthentic(headers, `${body} `, secret, nowMs)).toBe(false);
      expect(isAuthentic(headers, body, `whsec_${Buffer.alloc(32).toString('base64')}`, nowMs)).toBe(false);
      expect(isAuthentic({ ...headers, 'webhook-id': 'msg_x' }, body, secret, nowMs)).toBe(false);
      expect(isAuthentic({ ...headers, 'webhook-signature': 'v1,AAAA' }, body, secret, nowMs)).toBe(false);
      expect(isAuthentic(headers, body, secret, nowMs + 301_000)).toBe(false);
      expect(JSON.parse(body).type).toBe('webhook.test');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('types: only those asked for → told; each kind of entry as its type', async () => {
    await add(['campaign.paused', 'key.alarm']);
    for (const action of ['transfer.expired', 'campaign.paused', 'campaign.wave', 'rotation.alarm.old-key-after-proof'])
      await entry(action);
    await taken(2);
    expect(got.map(({ body }) => JSON.parse(body).type).sort()).toEqual(['campaign.paused', 'key.alarm']);
  });

  test('a receiver that fails → tried again later under the same id with the same body, and its list says how it went', async () => {
    const { id } = await add();
    answers = [500, 302];
    await entry('transfer.expired');
    await taken(1);
    await expect.poll(async () => (await messages(id))[0]?.outcome).toBe('status 500');
    kit.advance(6_000);
    await taken(2);
    await expect.poll(async () => (await messages(id))[0]?.outcome).toBe('status 302');
    kit.advance(24_000);
    await taken(3);
    await expect.poll(async () => (await messages(id))[0]?.state).toBe('delivered');
    expect((await messages(id))[0]).toMatchObject({ attempts: 3, outcome: 'status 204', next_try_at: null });
    expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(got.map(({ body }) => body)).size).toBe(1);
    const again = await call('POST', `/v1/webhooks/${id}/messages/${(await messages(id))[0].id}/send-again`);
    expect(again.status).toBe(202);
    await taken(4);
    expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });

  test('nodes: eight rounds at the same moment over 30 entries → each sent once', async () => {
    await add();
    for (let i = 0; i < 30; i++) await entry('transfer.expired', `t${i}`);
    for (let round = 0; round < 4; round++) await Promise.all(Array.from({ length: 8 }, () => runWebhooks(deps())));
    await taken(30);
    expect(new Set(got.map(({ body }) => JSON.parse(body).data.subject)).size).toBe(30);
    await runWebhooks(deps());
    expect(got).toHaveLength(30);
  });

  test('a node that dies behind its try → nobody else tries before its lease is over, then somebody does, under the same id', async () => {
    const { id } = await add();
    const posted: string[] = [];
    const dying = {
      ...deps(),
      webhooks: {
        ...deps().webhooks,
        post: (message: { headers: Record<string, string> }) => {
          posted.push(message.headers['webhook-id'] ?? '');
          return new Promise<SendOutcome>(() => {});
        },
      },
    };
    await entry('transfer.expired');
    void runWebhooks(dying);
    await expect.poll(() => posted.length + got.length).toBe(1);
    if (posted.length === 0) return;
    await runWebhooks(deps());
    expect(got).toEqual([]);
    kit.advance(61_000);
    await taken(1);
    expect(got[0]?.headers['webhook-id']).toBe(posted[0]);
    await expect.poll(async () => (await messages(id))[0]?.state).toBe('delivered');
  });

  test('a receiver that wants no more (410) → disabled at once, in the audit; enabled → goes on with what came meanwhile', async () => {
    const { id } = await add();
    answers = [410];
    await entry('transfer.expired', 'one');
    await expect.poll(async () => (await call('GET', `/v1/webhooks/${id}`)).json.state).toBe('disabled');
    expect(await actions()).toContain('webhook.disabled');
    await entry('transfer.expired', 'two');
    await runWebhooks(deps());
    expect(got).toHaveLength(1);
    expect((await call('POST', `/v1/webhooks/${id}/enable`)).json.state).toBe('active');
    await taken(2);
    expect(JSON.parse(got[1]?.body ?? '').data.subject).toBe('two');
  });

  test('a receiver that is gone for days → given up after ten tries, disabled with its reason', async () => {
    const { id } = await add();
    answers = Array.from({ length: 20 }, () => 500);
    await entry('transfer.expired');
    for (let tries = 1; tries <= 10; tries++) {
      await taken(tries);
      await expect.poll(async () => (await messages(id))[0]?.attempts).toBe(tries);
      await expect.poll(async () => (await messages(id))[0]?.outcome).toBe('status 500');
      if (tries < 10) kit.advance(10 * 3_600_000);
    }
    // The session has ended by itself meanwhile.
    ({ token } = await account.signIn());
    await expect.poll(async () => (await call('GET', `/v1/webhooks/${id}`)).json.state).toBe('disabled');
    expect((await call('GET', `/v1/webhooks/${id}`)).json.reason).toContain('last status 500');
    expect((await messages(id))[0]).toMatchObject({ state: 'failed', attempts: 10 });
  });

  test('removed → nothing more is sent; what waited ends', async () => {
    const { id } = await add();
    expect((await call('DELETE', `/v1/webhooks/${id}`)).status).toBe(204);
    await entry('transfer.expired');
    await runWebhooks(deps());
    expect(got).toEqual([]);
    expect((await call('GET', `/v1/webhooks/${id}`)).status).toBe(404);
  });

  test('who may: an API key alone manages nothing and sees no path; another account sees nothing; twenty at most', async () => {
    const { id } = await add();
    const key = { apiKey: account.apiKey };
    expect((await kit.call('POST', '/v1/webhooks', { ...key, json: { url } })).json.code).toBe('management_required');
    expect((await kit.call('DELETE', `/v1/webhooks/${id}`, key)).json.code).toBe('management_required');
    const listed = await kit.call('GET', '/v1/webhooks', key);
    expect(listed.json.webhooks[0].url).toBe(`${new URL(url).origin}/…`);
    expect((await call('GET', '/v1/webhooks')).json.webhooks[0].url).toBe(url);
    expect(listed.text).not.toContain('whsec_');
    const stranger = await kit.account();
    const session = await stranger.signIn();
    for (const path of [`/v1/webhooks/${id}`, `/v1/webhooks/${id}/messages`])
      expect((await kit.call('GET', path, { auth: session.token })).status).toBe(404);
    expect((await kit.call('POST', `/v1/webhooks/${id}/test`, { auth: session.token })).status).toBe(404);
    for (let i = 1; i < 20; i++) await add();
    expect((await call('POST', '/v1/webhooks', { url })).json.code).toBe('conflict');
  });

  test.each([
    [{ url: 'ftp://example.com' }, 'url'],
    [{ url: 'https://a:b@example.com' }, 'url'],
    [{ url: 'https://example.com', events: ['transfer.red'] }, 'events'],
    [{ url: 'https://example.com', events: [] }, 'events'],
    [{ events: ['device.silent'] }, 'url'],
  ])('bad input %j → 400 that names %s', async (json, field) => {
    const answer = await call('POST', '/v1/webhooks', json);
    expect([answer.status, answer.json.errors?.[0]?.field]).toEqual([400, field]);
  });

  test('at rest: neither address nor secret is in the row', async () => {
    const { id, secret } = await add();
    const row = await deps().store.get('webhooks', { id });
    const text = JSON.stringify(row, (_name, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
    );
    expect(text).not.toContain('hook-with-a-token');
    expect(text).not.toContain(Buffer.from(secret.slice(6), 'base64').toString('latin1'));
  });
});

describe('silent devices', () => {
  test('not heard for the time set → told once, and once more when it is back; one that never came → not told', async () => {
    await add(['device.silent', 'device.heard']);
    const device = await account.device('d');
    await account.device('never came');
    await kit.call('GET', '/v1/device', { apiKey: device.key });
    const watches = [new SilenceWatch(), new SilenceWatch()];
    const look = async () => void (await Promise.all(watches.map((watch) => watch.step(deps()))));
    await look();
    kit.advance(3_601_000);
    await look();
    await look();
    await taken(1);
    expect(JSON.parse(got[0]?.body ?? '')).toMatchObject({ type: 'device.silent', data: { subject: device.id } });
    expect(await deps().store.get('silent_devices', { device_id: device.id as DeviceId })).not.toBe(null);
    await kit.call('GET', '/v1/device', { apiKey: device.key });
    await look();
    await look();
    await taken(2);
    expect(JSON.parse(got[1]?.body ?? '')).toMatchObject({
      type: 'device.heard',
      data: { subject: device.id, detail: { silent_seconds: expect.any(Number) } },
    });
    expect((await actions()).filter((action: string) => action.startsWith('device.s'))).toEqual(['device.silent']);
  });
});
