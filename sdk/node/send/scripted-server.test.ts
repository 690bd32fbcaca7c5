import { afterEach, describe, expect, test } from 'vitest';
import type { FuselinkClient } from '../index.ts';
import { createClient } from '../index.ts';
import { broken, nothing, page, problem, RELAY, scriptedRemote, stored } from '../testing/scripted-remote.ts';

const BYTES = Buffer.from('celsius,21.5\n');

const remote = scriptedRemote();
const clients: FuselinkClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

function client(): FuselinkClient {
  const made = createClient({ url: RELAY, key: 'good-key', device: 'pump', stateFolder: null });
  clients.push(made);
  return made;
}

describe('send: a scripted server', () => {
  test('send: a captive portal answers 200 with a page, then goes → never taken for success, then sent under the same key', async () => {
    remote.plays(page(200), page(302, { Location: 'http://portal.test/' }), stored());
    const one = client();
    const told: string[] = [];
    one.on('retrying', ({ code }) => told.push(code));
    const sent = await one.send(BYTES, { filename: 'a.csv' });
    expect(sent.url).toBe(`${RELAY}/get/secret`);
    expect(told).toEqual(['not_fuselink', 'not_fuselink']);
    expect(remote.seen.map(({ method, path }) => `${method} ${path}`)).toEqual(Array(3).fill('POST /v1/upload'));
    expect(new Set(remote.seen.map(({ idempotency }) => idempotency)).size).toBe(1);
    expect(new Set(remote.seen.map(({ body }) => body.toString()))).toEqual(new Set([BYTES.toString()]));
  });

  test.each([
    ['bad gateway of a proxy', page(502), 'http_502'],
    ['storage of the server', problem(503, 'storage_unavailable'), 'storage_unavailable'],
    ['too early', page(425), 'http_425'],
    ['a request that took too long', page(408), 'http_408'],
    ['a server that stumbles', problem(500, 'internal'), 'internal'],
    ['a gateway that waited in vain', page(504), 'http_504'],
    ['the first try still being stored', problem(409, 'transfer_uploading'), 'transfer_uploading'],
  ])('send: %s passes → tried again, told by its code', async (_what, answer, code) => {
    remote.plays(answer, stored());
    const one = client();
    const told: string[] = [];
    one.on('retrying', (retry) => told.push(retry.code));
    await one.send(BYTES, { filename: 'a.csv' });
    expect(told).toEqual([code]);
  });

  test('send: 429 with Retry-After: 1 → not a request before that second is over', async () => {
    remote.plays(problem(429, 'upload_limit_exceeded', { 'Retry-After': '1' }), stored());
    const one = client();
    const waits: number[] = [];
    one.on('retrying', ({ waitMs }) => waits.push(waitMs));
    const startedMs = performance.now();
    await one.send(BYTES, { filename: 'a.csv' });
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(1000);
    expect(waits[0]).toBeGreaterThanOrEqual(1000);
  });

  const nowMs = Date.parse('2030-05-05T12:00:00Z');
  const date = (ms: number) => new Date(ms).toUTCString();
  test.each([
    ['seconds', '90', 90_000, 100_000],
    ['a date, counted from the server’s own clock', date(nowMs + 120_000), 120_000, 130_000],
    ['a date that is over', date(nowMs - 60_000), 0, 10_000],
    ['a year', '31536000', 3_600_000, 3_700_000],
    ['a negative number', '-5', 0, 10_000],
    ['no number', 'soon', 0, 10_000],
    ['nothing', '', 0, 10_000],
  ])('send: Retry-After is %s (%s) → waits for that, or as it would anyway', async (_what, value, msMin, msMax) => {
    remote.plays(problem(503, 'storage_unavailable', { 'Retry-After': value, Date: date(nowMs) }));
    const stop = new AbortController();
    const one = client();
    let waitMs = Number.NaN;
    one.on('retrying', (retry) => {
      waitMs = retry.waitMs;
      stop.abort();
    });
    await expect(
      one.send(BYTES, { filename: 'a.csv', signal: stop.signal, giveUpAfterMs: null }),
    ).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(waitMs).toBeGreaterThanOrEqual(msMin);
    expect(waitMs).toBeLessThanOrEqual(msMax);
  });

  test.each([
    ['credentials_malformed', 401, 'credentialRefused'],
    ['key_unknown', 401, 'credentialRefused'],
    ['key_not_yet_valid', 401, 'credentialRefused'],
    ['key_revoked', 401, 'credentialRefused'],
    ['role_insufficient', 403, null],
    ['idempotency_mismatch', 422, null],
    ['payload_too_large', 413, null],
    ['quota_exceeded', 507, null],
  ])('send: refused as %s (%i) → fails at once with that code, one request', async (code, status, event) => {
    remote.plays(problem(status, code));
    const one = client();
    const refusals: string[] = [];
    one.on('credentialRefused', (refusal) => refusals.push(refusal.code));
    await expect(one.send(BYTES, { filename: 'a.csv' })).rejects.toMatchObject({ code, status });
    expect(remote.seen).toHaveLength(1);
    expect(refusals).toEqual(event === null ? [] : [code]);
  });

  test('send: the server says that it holds other bytes → taken back, sent afresh under another key', async () => {
    remote.plays(stored({ sha256: '0'.repeat(64) }), nothing(204), stored());
    await client().send(BYTES, { filename: 'a.csv' });
    expect(remote.seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /v1/upload',
      'DELETE /v1/transfers/t1',
      'POST /v1/upload',
    ]);
    expect(remote.seen[0]?.idempotency).not.toBe(remote.seen[2]?.idempotency);
  });

  test('send: a connection that breaks without a word → the same request again', async () => {
    remote.plays(broken, stored());
    await client().send(BYTES, { filename: 'a.csv' });
    expect(remote.seen).toHaveLength(2);
    expect(remote.seen.map(({ key }) => key)).toEqual(['Bearer good-key', 'Bearer good-key']);
  });
});
