import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EVENT_STREAMS_PER_ACCOUNT_MAX } from '#sdk/protocol';
import { type EventReader, listenTo } from '../../testing/event-reader.ts';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { operatorOf } from '../../usecases/account/create-account.ts';
import { addUser } from '../../usecases/account/users.ts';

let kit: Kit;
const readers: EventReader[] = [];
beforeAll(async () => {
  // A heartbeat comes twice within the idle limit.
  kit = await startKit({ FUSELINK_IDLE_SECONDS: '1', FUSELINK_UPLOADS_PER_MINUTE: '1000' });
});
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
});
afterAll(() => kit.stop());

async function listen(headers: Record<string, string>, query = ''): Promise<EventReader> {
  const reader = await listenTo(kit.url, headers, query);
  readers.push(reader);
  return reader;
}
const as = (account: { apiKey: string }) => ({ 'x-api-key': account.apiKey });

/** `count` more entries in the account's chain. */
async function append(account: TestAccount, count: number, detail: Record<string, unknown> = {}): Promise<void> {
  const { store, clock } = kit.server.deps;
  for (let i = 0; i < count; i++) {
    const entry = { actor: 'test', action: i % 2 === 0 ? 'test.even' : 'test.odd', subject: `s${i % 10}`, detail };
    await store.commit([
      {
        kind: 'audit',
        entry: { chain: account.accountId, at_ms: clock.nowMs(), outcome: 'done', from: 'local', ...entry },
      },
    ]);
  }
}

async function take(reader: EventReader, count: number): Promise<number[]> {
  const seqs: number[] = [];
  while (seqs.length < count) seqs.push((await reader.next()).id ?? -1);
  return seqs;
}
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** The head of the account's chain. */
async function headOf(account: TestAccount): Promise<number> {
  return (await kit.call('GET', '/v1/audit?limit=1', { apiKey: account.apiKey })).json.entries[0].seq;
}

describe('events', () => {
  test('live: what another request does → told as the audit tells it, and to no other account', async () => {
    const account = await kit.account();
    const stranger = await kit.account();
    const [reader, other] = [await listen(as(account)), await listen(as(stranger))];
    expect([reader.status, reader.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect(reader.headers.get('cache-control')).toContain('no-store');
    const sent = await kit.call('POST', '/v1/upload', { apiKey: account.apiKey, body: 'x' });
    const told = await reader.next();
    expect(told).toMatchObject({ event: null, data: { action: 'transfer.sent', subject: sent.json.id } });
    const audit = await kit.call('GET', '/v1/audit?limit=1', { apiKey: account.apiKey });
    expect(told.data).toEqual(audit.json.entries[0]);
    expect(told.id).toBe(told.data.seq);
    await append(stranger, 1);
    await other.next();
    expect(other.events.map(({ data }) => data.action)).toEqual(['test.even']);
    expect(reader.events).toHaveLength(1);
  });

  test('credentials: each kind that may read the audit → may listen; a device key → 403', async () => {
    const account = await kit.account();
    const { token, cookie } = await account.signIn();
    for (const headers of [
      as(account),
      { authorization: account.apiKey },
      { authorization: `Bearer ${token}` },
      { cookie },
    ])
      expect((await listen(headers)).status).toBe(200);
    const { key } = await account.device('d');
    const answer = await kit.call('GET', '/v1/events', { apiKey: key });
    expect([answer.status, answer.json.code]).toEqual([403, 'role_insufficient']);
  });

  test('resume: Last-Event-ID, ?after=, or both → all that came since, each once, over many pages, then live', async () => {
    const account = await kit.account();
    await append(account, 950);
    const head = await headOf(account);
    const headered = await listen({ ...as(account), 'last-event-id': String(head - 900) }, '?after=1');
    const queried = await listen(as(account), '?after=0');
    expect(await take(headered, 900)).toEqual(numbers(head - 899, head));
    expect(await take(queried, head)).toEqual(numbers(1, head));
    await append(account, 3);
    expect(await take(headered, 3)).toEqual(numbers(head + 1, head + 3));
    expect(await take(queried, 3)).toEqual(numbers(head + 1, head + 3));
  });

  test.each([
    ['a place ahead of the chain', '999999999'],
    ['no number', 'abc'],
  ])('resume: Last-Event-ID is %s → reset with the place that is, then live from there', async (_what, id) => {
    const account = await kit.account();
    const head = await headOf(account);
    const reader = await listen({ ...as(account), 'last-event-id': id });
    expect(await reader.next()).toEqual({ id: null, event: 'reset', data: { seq: head } });
    await append(account, 1);
    expect(await take(reader, 1)).toEqual([head + 1]);
  });

  test('a stream without a word yet → its place is known, so that a break before the first event loses nothing', async () => {
    const account = await kit.account();
    const head = await headOf(account);
    const reader = await listen(as(account));
    await expect.poll(() => reader.lastId).toBe(head);
    expect(reader.events).toEqual([]);
  });

  test.each(['after=-1', 'after=x', 'after=', 'action=', `subject=${'x'.repeat(201)}`, 'acton=key'])(
    'query: %s → 400 that names the field',
    async (query) => {
      const account = await kit.account();
      const answer = await kit.call('GET', `/v1/events?${query}`, { apiKey: account.apiKey });
      expect([answer.status, answer.json.code]).toEqual([400, 'invalid_field']);
    },
  );

  test('filters: by action and by subject, over what was missed and what comes → only that, and the place moves on', async () => {
    const account = await kit.account();
    await append(account, 700);
    const even = await listen(as(account), '?after=0&action=test.e');
    const three = await listen(as(account), '?after=0&subject=s3');
    const none = await listen(as(account), '?after=0&action=nothing.');
    await append(account, 20);
    const evens = await take(even, 360);
    expect(new Set(even.events.map(({ data }) => data.action))).toEqual(new Set(['test.even']));
    expect(new Set(evens).size).toBe(360);
    await take(three, 72);
    expect(new Set(three.events.map(({ data }) => data.subject))).toEqual(new Set(['s3']));
    const head = await headOf(account);
    await expect.poll(() => [none.lastId, none.events]).toEqual([head, []]);
  });

  test('silence: nothing happens for longer than the idle limit → comments keep the stream open', async () => {
    const account = await kit.account();
    const reader = await listen(as(account));
    await expect.poll(() => reader.comments, { timeout: 20_000 }).toBeGreaterThan(4);
    await append(account, 1);
    await reader.next();
  });

  test('closed: the key of one of two listeners is revoked → that one is told why and ends; it hears nothing of what came after', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const made = await kit.call('POST', '/v1/keys', { auth: token, json: { name: 'listener' } });
    kit.secrets.add(made.json.key);
    const [doomed, other] = [await listen({ 'x-api-key': made.json.key }), await listen(as(account))];
    await append(account, 1);
    expect((await doomed.next()).data.action).toBe('test.even');
    const revoked = kit.call('DELETE', `/v1/keys/${made.json.id}`, { auth: token });
    await append(account, 50);
    expect((await revoked).status).toBe(200);
    await doomed.ended;
    const last = doomed.events.at(-1);
    expect(last).toMatchObject({ id: null, event: 'closed', data: { code: 'key_revoked' } });
    await expect.poll(() => other.events.some(({ data }) => data.action === 'key.revoked')).toBe(true);
    const revocation = other.events.find(({ data }) => data.action === 'key.revoked')?.id ?? 0;
    expect(Math.max(...doomed.events.map(({ id }) => id ?? 0))).toBeLessThan(revocation);
    expect(other.events.some(({ event }) => event === 'closed')).toBe(false);
  });

  test.each<[string, string, (session: { token: string }, user: string) => Promise<unknown>]>([
    ['signed out', 'token_invalid', ({ token }) => kit.call('POST', '/v1/auth/logout', { auth: token })],
    ['an hour over', 'token_expired', async () => kit.advance(3_601_000)],
  ])('closed: the session is %s → %s', async (_what, code, end) => {
    const account = await kit.account();
    const session = await account.signIn();
    const reader = await listen({ cookie: session.cookie });
    await end(session, account.email);
    await reader.ended;
    expect(reader.events.at(-1)).toMatchObject({ event: 'closed', data: { code } });
  });

  test.each<[string, string, 'PATCH' | 'DELETE']>([
    ['another role', 'role_insufficient', 'PATCH'],
    ['removed', 'token_invalid', 'DELETE'],
  ])('closed: the user is given %s → %s', async (_what, code, method) => {
    const account = await kit.account();
    const owner = await account.signIn();
    const email = `listener-${code}@example.com`;
    const user = await addUser(kit.server.deps, operatorOf(account.accountId, account.row), {
      email,
      role: 'operator',
    });
    const { json } = await kit.call('POST', '/v1/auth/login', {
      json: { email, api_key: account.apiKey, recovery_code: user.recoveryCodes[0] },
    });
    for (const secret of [json.token, user.setupSecret, ...user.recoveryCodes]) kit.secrets.add(secret);
    const reader = await listen({ authorization: `Bearer ${json.token}` });
    const changed = await kit.call(method, `/v1/users/${user.row.id}`, {
      auth: owner.token,
      ...(method === 'PATCH' ? { json: { role: 'auditor' } } : {}),
    });
    expect(changed.status).toBeLessThan(300);
    await reader.ended;
    expect(reader.events.at(-1)).toMatchObject({ event: 'closed', data: { code } });
  });

  test('limit: as many listeners as an account may have, and one more → 429 that says so; one leaves → there is room', async () => {
    const account = await kit.account();
    for (let i = 0; i < EVENT_STREAMS_PER_ACCOUNT_MAX; i++) expect((await listen(as(account))).status).toBe(200);
    const refused = await kit.call('GET', '/v1/events', { apiKey: account.apiKey });
    expect([refused.status, refused.json.code]).toEqual([429, 'event_streams_exceeded']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    readers[0]?.close();
    await expect.poll(async () => (await listen(as(account))).status).toBe(200);
  });

  test('the snippet of the README, in a shell → the first file that was sent', async () => {
    const account = await kit.account();
    const sent = await kit.call('POST', '/v1/upload', { apiKey: account.apiKey, body: 'x' });
    const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');
    const snippet = /```sh\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const env = { PATH: process.env['PATH'] ?? '', URL: kit.url, KEY: account.apiKey };
    const { stdout } = await promisify(execFile)('sh', ['-c', snippet], { env });
    expect(JSON.parse(stdout)).toMatchObject({ action: 'transfer.sent', subject: sent.json.id });
  });

  test('everybody has left → no place is taken and no chain is followed', async () => {
    const account = await kit.account();
    await listen(as(account));
    for (const reader of readers.splice(0)) reader.close();
    await expect.poll(() => [kit.server.deps.events.streams, kit.server.deps.events.accounts]).toEqual([0, 0]);
  });
});

test('events: a server that stops → ends its streams at once, in order', async () => {
  const stopping = await startKit();
  const account = await stopping.account();
  const reader = await listenTo(stopping.url, as(account));
  await stopping.stop();
  await reader.ended;
  expect(reader.events.filter(({ event }) => event !== null)).toEqual([]);
});
