import { createHash } from 'node:crypto';
import { HttpResponse, http, type JsonBodyType } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FuselinkClient } from '../index.ts';
import { createClient } from '../index.ts';

/** A remote server that answers from a script, one line a request: what stands between a device and its relay. */
const RELAY = 'http://relay.test';
const BYTES = Buffer.from('celsius,21.5\n');
const SHA256 = createHash('sha256').update(BYTES).digest('hex');

const remote = setupServer();
const clients: FuselinkClient[] = [];
let script: (() => Response)[] = [];
let seen: { method: string; path: string; key: string | null; idempotency: string | null; body: string }[] = [];

beforeAll(() => remote.listen({ onUnhandledRequest: 'error' }));
afterAll(() => remote.close());
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  remote.resetHandlers();
});

function plays(...answers: (() => Response)[]): void {
  script = answers;
  seen = [];
  remote.use(
    http.all(`${RELAY}/*`, async ({ request }) => {
      seen.push({
        method: request.method,
        path: new URL(request.url).pathname,
        key: request.headers.get('authorization'),
        idempotency: request.headers.get('idempotency-key'),
        body: await request.text(),
      });
      const next = script.shift();
      if (next === undefined) throw new Error(`no line of the script is left for ${request.method} ${request.url}`);
      return next();
    }),
  );
}

const json =
  (status: number, body: JsonBodyType, headers: Record<string, string> = {}) =>
  () =>
    HttpResponse.json(body, { status, headers });
const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  json(status, { code, status, detail: code }, { 'Content-Type': 'application/problem+json', ...headers });
const page =
  (status: number, headers: Record<string, string> = {}) =>
  () =>
    new HttpResponse('<html>Welcome to the hotel</html>', {
      status,
      headers: { 'Content-Type': 'text/html', ...headers },
    });
const stored = (over: Record<string, JsonBodyType> = {}) =>
  json(201, {
    id: 't1',
    url: `${RELAY}/get/secret`,
    expires_at: '2030-01-01T00:00:00Z',
    size: BYTES.length,
    sha256: SHA256,
    ...over,
  });

function client(): FuselinkClient {
  const made = createClient({ url: RELAY, key: 'good-key', device: 'pump', stateFolder: null });
  clients.push(made);
  return made;
}

describe('send: a scripted server', () => {
  test('send: a captive portal answers 200 with a page, then goes → never taken for success, then sent under the same key', async () => {
    plays(page(200), page(302, { Location: 'http://portal.test/' }), stored());
    const one = client();
    const told: string[] = [];
    one.on('retrying', ({ code }) => told.push(code));
    const sent = await one.send(BYTES, { filename: 'a.csv' });
    expect(sent.url).toBe(`${RELAY}/get/secret`);
    expect(told).toEqual(['not_fuselink', 'not_fuselink']);
    expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual(Array(3).fill('POST /v1/upload'));
    expect(new Set(seen.map(({ idempotency }) => idempotency)).size).toBe(1);
    expect(new Set(seen.map(({ body }) => body))).toEqual(new Set([BYTES.toString()]));
  });

  test.each([
    ['bad gateway of a proxy', page(502), 'http_502'],
    ['storage of the server', problem(503, 'storage_unavailable'), 'storage_unavailable'],
    ['too early', page(425), 'http_425'],
  ])('send: %s passes → tried again, told by its code', async (_what, answer, code) => {
    plays(answer, stored());
    const one = client();
    const told: string[] = [];
    one.on('retrying', (retry) => told.push(retry.code));
    await one.send(BYTES, { filename: 'a.csv' });
    expect(told).toEqual([code]);
  });

  test('send: 429 with Retry-After: 1 → not a request before that second is over', async () => {
    plays(problem(429, 'upload_limit_exceeded', { 'Retry-After': '1' }), stored());
    const one = client();
    const waits: number[] = [];
    one.on('retrying', ({ waitMs }) => waits.push(waitMs));
    const startedMs = performance.now();
    await one.send(BYTES, { filename: 'a.csv' });
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(1000);
    expect(waits[0]).toBeGreaterThanOrEqual(1000);
  });

  test.each([
    ['credentials_malformed', 401, 'credentialRefused'],
    ['key_unknown', 401, 'credentialRefused'],
    ['role_insufficient', 403, null],
    ['idempotency_mismatch', 422, null],
    ['payload_too_large', 413, null],
    ['quota_exceeded', 507, null],
  ])('send: refused as %s (%i) → fails at once with that code, one request', async (code, status, event) => {
    plays(problem(status, code));
    const one = client();
    const refusals: string[] = [];
    one.on('credentialRefused', (refusal) => refusals.push(refusal.code));
    await expect(one.send(BYTES, { filename: 'a.csv' })).rejects.toMatchObject({ code, status });
    expect(seen).toHaveLength(1);
    expect(refusals).toEqual(event === null ? [] : [code]);
  });

  test('send: the server says that it holds other bytes → taken back, sent afresh under another key', async () => {
    plays(stored({ sha256: '0'.repeat(64) }), () => new HttpResponse(null, { status: 204 }), stored());
    await client().send(BYTES, { filename: 'a.csv' });
    expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /v1/upload',
      'DELETE /v1/transfers/t1',
      'POST /v1/upload',
    ]);
    expect(seen[0]?.idempotency).not.toBe(seen[2]?.idempotency);
  });

  test('send: a connection that breaks without a word → the same request again', async () => {
    plays(() => HttpResponse.error(), stored());
    await client().send(BYTES, { filename: 'a.csv' });
    expect(seen).toHaveLength(2);
    expect(seen.map(({ key }) => key)).toEqual(['Bearer good-key', 'Bearer good-key']);
  });
});
