import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FuselinkClient } from '../index.ts';
import { createClient } from '../index.ts';
import { type Answer, broken, page, problem, RELAY, scriptedRemote, stored } from '../testing/scripted-remote.ts';

const remote = scriptedRemote();
let folder: string;
let client: FuselinkClient;
let told: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-scripted-'));
  client = createClient({ url: RELAY, key: 'good-key', device: 'pump', stateFolder: folder, readings: {} });
  told = [];
  client.on('retrying', ({ code }) => told.push(code));
  client.on('dropped', ({ reason }) => told.push(`dropped ${reason}`));
  client.on('warning', ({ code }) => told.push(code));
  client.on('credentialRefused', ({ code, fingerprint }) => {
    told.push([code, fingerprint ?? ''].join(' ').trim());
    // As whoever mends the key would: the next try goes out at once.
    client.credentialsChanged();
  });
});
afterEach(async () => {
  await client.close();
  await rm(folder, { recursive: true, force: true });
});

const lines = (body: Buffer) => gunzipSync(body).toString().trim().split('\n');

describe('record: a scripted server', () => {
  test.each<[string, Answer, string[]]>([
    ['a bad gateway', page(502), ['http_502']],
    ['the server starts anew', problem(503, 'shutting_down', { 'Retry-After': '0' }), ['shutting_down']],
    ['the connection breaks', broken, ['connection_lost']],
    ['an unknown key', problem(401, 'key_unknown'), ['key_unknown']],
    ['a key that is not valid yet', problem(401, 'key_not_yet_valid'), ['key_not_yet_valid']],
    ['no key the server can read', problem(401, 'credentials_malformed'), ['credentials_malformed']],
    [
      'a revoked key',
      problem(401, 'key_revoked', {}, { fingerprint: '0123456789abcdef' }),
      ['key_revoked 0123456789abcdef', 'key_revoked'],
    ],
  ])(
    'record: %s, then all is well → nothing dropped, the same file under the same key',
    async (_what, answer, codes) => {
      remote.plays(answer, stored());
      for (let n = 0; n < 3; n++) expect(await client.record({ n })).toMatchObject({ kept: true });
      await client.flush();
      expect(new Set(told)).toEqual(new Set(codes));
      expect(remote.seen.map(({ method, path }) => `${method} ${path}`)).toEqual(Array(2).fill('POST /v1/upload'));
      expect(new Set(remote.seen.map(({ idempotency }) => idempotency)).size).toBe(1);
      expect(lines(remote.seen.at(-1)?.body as Buffer)).toEqual(['{"n":0}', '{"n":1}', '{"n":2}']);
    },
  );

  test('record: other readings are there under this key (packed otherwise before a crash) → sent once more under another, and told', async () => {
    remote.plays(problem(422, 'idempotency_mismatch'), stored());
    await client.record({ n: 1 });
    await client.flush();
    expect(told).toEqual(['possible_duplicate']);
    const [first, second] = remote.seen;
    expect(second?.idempotency).toBe(`${first?.idempotency}.x`);
  });

  test.each([
    ['too large for this server', problem(413, 'payload_too_large')],
    ['no such recipient', problem(422, 'recipient_unknown')],
  ])('record: %s → kept, told as refused, tried again later; never dropped', async (_what, answer) => {
    remote.plays(answer);
    const refused = new Promise<string>((resolve) => client.on('warning', ({ code }) => resolve(code)));
    await client.record({ n: 1 });
    const stop = new AbortController();
    const flushed = client.flush({ signal: stop.signal });
    expect(await refused).toBe('batch_refused');
    stop.abort();
    await expect(flushed).rejects.toMatchObject({ code: 'aborted' });
    expect(client.metrics()).toMatch(/fuselink_backlog_readings\{lane="1"\} 1\n/);
    expect(told).toEqual(['batch_refused']);
    expect(remote.seen).toHaveLength(1);
  });
});
