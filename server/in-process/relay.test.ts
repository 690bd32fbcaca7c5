import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMemoryStore } from '../adapters/memory/metadata-store.ts';
import { nodeClock } from '../adapters/node/clock.ts';
import { nodeRandom } from '../adapters/node/random.ts';
import { type Kit, startKit, type TestAccount } from '../testing/server-kit.ts';
import { copyRows } from './copy-store.ts';
import { createRelay, openRelayAccount, type Relay, type RelayRequest } from './relay.ts';

let kit: Kit;
let account: TestAccount;
let relay: Relay;

beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
  relay = createRelay({ clock: nodeClock, random: nodeRandom, secret: new Uint8Array(32), warn: () => {} });
});
afterAll(() => kit.stop());

async function enrolled(): Promise<{ http: string; face: string }> {
  const operator = await openRelayAccount(relay, `${randomBytes(4).toString('hex')}@example.com`);
  const body = Buffer.from('{"name":"d"}');
  const made = await relay.call({ method: 'POST', path: '/v1/devices', headers: {}, body }, operator);
  return { http: (await account.device(randomBytes(4).toString('hex'))).key, face: String(made.json?.['api_key']) };
}

const position = 'boot=1;seq=1;tag=00112233;phase=SETTLED';
const staged = () => {
  const key = randomBytes(32);
  return {
    generation: 2,
    sha256: createHash('sha256').update(key).digest('hex'),
    fingerprint: createHash('sha256').update('fuselink fp').update(key).digest('hex').slice(0, 16),
  };
};
const status = { phase: 'SETTLED', generation: 1, boot: 1, sequence: 2, boot_tag: '00112233' };

interface Case {
  what: string;
  method: RelayRequest['method'];
  path: string;
  headers?: Record<string, string>;
  json?: object;
  text?: string;
  key?: 'own' | 'none' | 'unknown' | 'malformed';
}

const cases: Case[] = [
  { what: 'an upload', method: 'POST', path: '/v1/upload', headers: { 'x-filename': 'a.txt' }, text: 'hello' },
  { what: 'an upload with a bad TTL', method: 'POST', path: '/v1/upload', headers: { 'x-ttl': '1' }, text: 'hello' },
  { what: 'a status report', method: 'POST', path: '/v1/device/status', json: status },
  { what: 'a status report without a phase', method: 'POST', path: '/v1/device/status', json: { boot: 1 } },
  { what: 'a registration nobody asked for', method: 'POST', path: '/v1/device/rotation', json: staged() },
  { what: 'the device itself', method: 'GET', path: '/v1/device' },
  { what: 'somebody else’s list', method: 'GET', path: '/v1/devices' },
  { what: 'no credential', method: 'GET', path: '/v1/device', key: 'none' },
  { what: 'an unknown key', method: 'POST', path: '/v1/upload', text: 'x', key: 'unknown' },
  { what: 'a malformed key', method: 'POST', path: '/v1/upload', text: 'x', key: 'malformed' },
  { what: 'an address that is none', method: 'GET', path: '/v1/nonsense' },
];

test.each(cases)('relay in process: $what → what HTTP answers, by status, code and headers', async (one) => {
  const keys = await enrolled();
  const texts = { own: '', none: '', unknown: 'ab'.repeat(32), malformed: 'zz' };
  const call = async (over: 'http' | 'face') => {
    const key = (one.key ?? 'own') === 'own' ? keys[over] : texts[one.key ?? 'own'];
    const headers: Record<string, string> = { 'fuselink-device': position, ...one.headers };
    if (key !== '') headers['authorization'] = `Bearer ${key}`;
    if (one.json !== undefined) headers['content-type'] = 'application/json';
    const text = one.json === undefined ? one.text : JSON.stringify(one.json);
    if (over === 'http') {
      const answer = await kit.call(one.method, one.path, { headers, ...(text === undefined ? {} : { body: text }) });
      return shape(answer.status, answer.json, (name) => answer.headers.get(name));
    }
    const body = text === undefined ? null : Buffer.from(text);
    const answer = await relay.call({ method: one.method, path: one.path, headers, body });
    return shape(answer.status, answer.json, (name) => answer.headers[name] ?? null);
  };
  expect(await call('face')).toEqual(await call('http'));
});

function shape(status: number, json: Record<string, unknown> | null, header: (name: string) => string | null): object {
  const told = ['fuselink-rotation', 'ratelimit', 'retry-after', 'www-authenticate', 'idempotency-replayed'];
  const fields = Object.keys(json ?? {}).sort();
  return {
    status,
    code: json?.['code'] ?? null,
    fields: status < 300 || status === 401 ? fields : [],
    headers: told.map((name) => header(name)),
  };
}

test('rows: copied to another store → every one is there, and the audit goes on from its head', async () => {
  const operator = await openRelayAccount(relay, 'copied@example.com');
  const store = createMemoryStore();
  await copyRows(relay.deps.store, store);
  const twin = createRelay({ clock: nodeClock, random: nodeRandom, secret: new Uint8Array(32), warn: () => {}, store });
  const body = Buffer.from('{"name":"later"}');
  expect((await twin.call({ method: 'POST', path: '/v1/devices', headers: {}, body }, operator)).status).toBe(201);
  const verified = await twin.call({ method: 'GET', path: '/v1/audit/verify', headers: {}, body: null }, operator);
  expect(verified.json).toMatchObject({ ok: true, entries: 2 });
});
