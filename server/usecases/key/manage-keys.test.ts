import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeviceId } from '../../domain/ids.ts';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { mintKey } from './mint-key.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.stop());

async function signedIn(): Promise<{ account: TestAccount; auth: string }> {
  const account = await kit.account();
  return { account, auth: `Bearer ${(await account.signIn()).token}` };
}

const create = (auth: string, json: object = { name: 'a key' }) => kit.call('POST', '/v1/keys', { auth, json });

/** A request that was let in, has sent its first bytes, and sends the last ones when the test says so. */
async function heldBack(url: string, what: { method: string; headers: Record<string, string>; first: string }) {
  const headers = { ...what.headers, expect: '100-continue', 'transfer-encoding': 'chunked' };
  const req = request(url, { method: what.method, headers });
  const answered = once(req, 'response') as Promise<[IncomingMessage]>;
  req.flushHeaders();
  await once(req, 'continue');
  req.write(what.first);
  return {
    async finish(rest: string) {
      req.end(rest);
      const [res] = await answered;
      return { status: res.statusCode, json: JSON.parse(Buffer.concat(await res.toArray()).toString('utf8')) };
    },
  };
}

describe('keys', () => {
  test('create: a name → 64 hex characters, shown once, kept as a hash and a prefix', async () => {
    const { account, auth } = await signedIn();
    const made = await create(auth, { name: '  line 3  ' });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      name: 'line 3',
      kind: 'account',
      role: 'owner',
      state: 'active',
      last_used_at: null,
    });
    expect(made.json.key).toMatch(/^[0-9a-f]{64}$/);
    expect(made.json.prefix).toBe(made.json.key.slice(0, 8));
    const row = await kit.server.deps.store.get('api_keys', { id: made.json.id });
    expect(JSON.stringify(row)).not.toContain(made.json.key);
    const listed = await kit.call('GET', '/v1/keys', { auth });
    expect(listed.text).not.toContain(made.json.key);
    expect(listed.json.keys.map(({ id }: { id: string }) => id)).toEqual([made.json.id, account.row.id]);
  });

  test('last used: after a request → set; sorting and paging → newest first, each once', async () => {
    const { auth } = await signedIn();
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.unshift((await create(auth, { name: `k${i}` })).json.id);
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await kit.call('GET', `/v1/keys?limit=2${cursor}`, { auth });
      seen.push(...page.json.keys.map(({ id }: { id: string }) => id));
      cursor = page.json.next_cursor === null ? '' : `&cursor=${page.json.next_cursor}`;
    } while (cursor !== '');
    expect(seen.slice(0, 5)).toEqual(made);
    expect(seen).toHaveLength(6);
    const fresh = await create(auth);
    await kit.call('GET', '/v1/keys', { auth: fresh.json.key });
    const [newest] = (await kit.call('GET', '/v1/keys', { auth })).json.keys;
    expect(newest.last_used_at).not.toBeNull();
  });

  test('limit: twelve creations at the same moment → exactly ten active; revoking frees a place; device keys do not count', async () => {
    const { account, auth } = await signedIn();
    await account.device('pi');
    const answers = await Promise.all(Array.from({ length: 12 }, () => create(auth)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(9);
    const refused = answers.filter(({ status }) => status !== 201);
    expect(new Set(refused.map(({ json }) => json.code))).toEqual(new Set(['key_limit_reached']));
    const id = answers.find(({ status }) => status === 201)?.json.id;
    await kit.call('DELETE', `/v1/keys/${id}`, { auth });
    expect((await create(auth)).status).toBe(201);
    expect((await create(auth)).status).toBe(400);
  });

  test('revoke: → refused at the very next request with its fingerprint; again → 400 that says when', async () => {
    const { auth } = await signedIn();
    const made = await create(auth);
    const revoked = await kit.call('DELETE', `/v1/keys/${made.json.id}`, { auth });
    expect(revoked.json).toMatchObject({ state: 'revoked', sent: [], sent_total: 0, burned: 0 });
    const used = await kit.call('GET', '/v1/keys', { auth: made.json.key });
    expect(used.json).toMatchObject({ code: 'key_revoked', fingerprint: made.json.fingerprint });
    const again = await kit.call('DELETE', `/v1/keys/${made.json.id}`, { auth });
    expect([again.status, again.json.code]).toEqual([400, 'key_already_revoked']);
    expect(again.json.detail).toContain(revoked.json.revoked_at);
    expect((await kit.call('DELETE', '/v1/keys/key_nobody', { auth })).status).toBe(404);
  });

  test('revoke: what was sent with the key → listed, so that recipients can be told; ?burn=true → burns the unread', async () => {
    const { auth } = await signedIn();
    const made = await create(auth);
    const links: string[] = [];
    for (const recipient of ['anna@example.com', 'bert@example.com', 'carl@example.com']) {
      const sent = await kit.call('POST', '/v1/upload', {
        auth: made.json.key,
        body: recipient,
        headers: { 'x-recipient': recipient },
      });
      links.push(new URL(sent.json.url).pathname);
    }
    const claim = await kit.call('POST', `${links[0]}/claim`, { json: {} });
    await kit.call('GET', `${links[0]}/content`, { headers: { 'fuselink-claim': claim.json.claim } });
    const ack = { json: { sha256: claim.json.sha256 }, headers: { 'fuselink-claim': claim.json.claim } };
    expect((await kit.call('POST', `${links[0]}/ack`, ack)).status).toBe(200);

    const revoked = await kit.call('DELETE', `/v1/keys/${made.json.id}?burn=true`, { auth });
    expect(revoked.json).toMatchObject({ sent_total: 3, burned: 2 });
    const told = revoked.json.sent.map(({ recipient, state }: { recipient: string; state: string }) => [
      recipient,
      state,
    ]);
    expect(told).toEqual([
      ['carl@example.com', 'revoked'],
      ['bert@example.com', 'revoked'],
      ['anna@example.com', 'burned'],
    ]);
    expect((await kit.call('POST', `${links[1]}/claim`, { json: {} })).json.code).toBe('link_revoked');
  });

  test('revoke: again with ?burn=true, after a first time without → still 400, but what was unread is burned', async () => {
    const { auth } = await signedIn();
    const made = await create(auth);
    await kit.call('POST', '/v1/upload', { auth: made.json.key, body: 'x' });
    await kit.call('DELETE', `/v1/keys/${made.json.id}`, { auth });
    const again = await kit.call('DELETE', `/v1/keys/${made.json.id}?burn=true`, { auth });
    expect(again.json.code).toBe('key_already_revoked');
    expect(again.json.detail).toContain('1 unread transfers were burned');
  });

  test('revoke: the last key that signs in → needs ?confirm=last-key', async () => {
    const { account, auth } = await signedIn();
    const refused = await kit.call('DELETE', `/v1/keys/${account.row.id}`, { auth });
    expect([refused.status, refused.json.code]).toEqual([409, 'key_last_needs_confirmation']);
    const confirmed = await kit.call('DELETE', `/v1/keys/${account.row.id}?confirm=last-key`, { auth });
    expect(confirmed.status).toBe(200);
    expect((await kit.call('GET', '/v1/keys', { auth })).json.code).toBe('token_invalid');
  });

  test('revoke: while an upload with the key is on its way → that upload is refused, nothing is kept', async () => {
    const { auth } = await signedIn();
    const made = await create(auth);
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode('first half, '));
        await gate;
        controller.enqueue(new TextEncoder().encode('second half'));
        controller.close();
      },
    });
    const sending = fetch(`${kit.url}/v1/upload`, {
      method: 'POST',
      headers: { authorization: made.json.key, 'x-filename': 'a.txt' },
      body,
      duplex: 'half',
    } as RequestInit);
    expect((await kit.call('DELETE', `/v1/keys/${made.json.id}`, { auth })).status).toBe(200);
    go();
    const answer = await sending;
    expect(answer.status).toBe(401);
    expect(((await answer.json()) as { code: string }).code).toBe('key_revoked');
    const kept = await kit.server.deps.store.count('transfers', { where: [['key_id', '=', made.json.id]] });
    expect(kept.rows).toBe(0);
  });

  test('revoke: while a resumable upload with the key brings its last bytes → refused, and nothing can be read', async () => {
    const { auth } = await signedIn();
    const made = await create(auth);
    const tus = { 'tus-resumable': '1.0.0' };
    const begun = await kit.call('POST', '/v1/uploads', {
      auth: made.json.key,
      headers: { ...tus, 'upload-length': '6' },
    });
    const held = await heldBack(begun.headers.get('location') ?? '', {
      method: 'PATCH',
      headers: {
        ...tus,
        authorization: made.json.key,
        'upload-offset': '0',
        'content-type': 'application/offset+octet-stream',
      },
      first: 'abc',
    });
    await kit.call('DELETE', `/v1/keys/${made.json.id}`, { auth });
    const answer = await held.finish('def');
    expect([answer.status, answer.json.code]).toEqual([401, 'key_revoked']);
    const rows = await kit.server.deps.store.list('transfers', { where: [['key_id', '=', made.json.id]], limit: 2 });
    expect(rows.map(({ state }) => state)).toEqual(['uploading']);
  });

  test.each([
    ['the session was ended', 'POST', () => '/v1/auth/logout', 'token_invalid'],
    ['its key was revoked', 'DELETE', (id: string) => `/v1/keys/${id}?confirm=last-key`, 'token_invalid'],
  ] as const)(
    'in flight: a key asked for, and %s before the body was whole → refused, no key is made',
    async (_what, method, path, code) => {
      const { account, auth } = await signedIn();
      const before = await kit.server.deps.store.count('api_keys', { where: [['account_id', '=', account.accountId]] });
      const held = await heldBack(`${kit.url}/v1/keys`, {
        method: 'POST',
        headers: { authorization: auth, 'content-type': 'application/json' },
        first: '{"name":',
      });
      const stopped = await kit.call(method, path(account.row.id), { auth });
      expect(stopped.status).toBeLessThan(300);
      const answer = await held.finish('"left lying"}');
      expect([answer.status, answer.json.code]).toEqual([401, code]);
      const after = await kit.server.deps.store.count('api_keys', { where: [['account_id', '=', account.accountId]] });
      expect(after.rows).toBe(before.rows);
    },
  );

  test('in flight: a body in pieces, and all still holds → done as if it had come at once', async () => {
    const { auth } = await signedIn();
    const held = await heldBack(`${kit.url}/v1/keys`, {
      method: 'POST',
      headers: { authorization: auth, 'content-type': 'application/json' },
      first: '{"name":',
    });
    const answer = await held.finish('"slow"}');
    expect([answer.status, answer.json.name]).toEqual([201, 'slow']);
  });

  test('device: an upload begun under its old key, revoked since → finishes under its new one', async () => {
    const { account } = await signedIn();
    const device = await account.device('mover');
    const { deps } = kit.server;
    const [old] = await deps.store.list('api_keys', { where: [['device_id', '=', device.id as DeviceId]], limit: 1 });
    if (old === undefined) throw new Error('expected the device key');
    const tus = { 'tus-resumable': '1.0.0' };
    const begun = await kit.call('POST', '/v1/uploads', {
      auth: device.key,
      headers: { ...tus, 'upload-length': '6' },
    });
    const path = new URL(begun.headers.get('location') ?? '').pathname;
    const patch = (auth: string, offset: string, body: string) =>
      kit.call('PATCH', path, {
        auth,
        body,
        headers: { ...tus, 'upload-offset': offset, 'content-type': 'application/offset+octet-stream' },
      });
    expect((await patch(device.key, '0', 'old')).status).toBe(204);
    const next = mintKey(deps, {
      accountId: account.accountId,
      kind: 'device',
      deviceId: device.id as DeviceId,
      name: 'mover',
      role: 'operator',
      generation: 2,
    });
    await deps.store.commit([
      { kind: 'insert', table: 'api_keys', row: next.row },
      {
        kind: 'update',
        table: 'api_keys',
        row: { ...old, state: 'revoked', revoked_at_ms: deps.clock.nowMs(), version: old.version + 1 },
        expectVersion: old.version,
      },
    ]);
    expect((await patch(device.key, '3', 'new')).status).toBe(401);
    const done = await patch(next.key, '3', 'new');
    expect(done.status).toBe(204);
    expect(done.headers.get('fuselink-url')).toContain('/get/');
  });

  test('roles: a key with more than its creator → refused; an operator makes operators and auditors', async () => {
    const { auth } = await signedIn();
    const operator = await create(auth, { name: 'op', role: 'operator' });
    expect(operator.json.role).toBe('operator');
    const { json } = await kit.call('GET', '/v1/auth/session', { auth: operator.json.key });
    expect(json).toMatchObject({ role: 'operator', may_manage: false });
    for (const wrong of ['root', '', 'OWNER']) {
      expect((await create(auth, { name: 'x', role: wrong })).json.code).toBe('invalid_field');
    }
  });

  test('roles: an operator who asks for an owner key, natively or by GraphQL → refused, or one of an operator', async () => {
    const { account, auth } = await signedIn();
    const operator = await create(auth, { name: 'op', role: 'operator' });
    const login = { email: account.email, api_key: operator.json.key, totp: account.code() };
    const { token } = (await kit.call('POST', '/v1/auth/login', { json: login })).json;
    const more = await create(token, { name: 'more', role: 'owner' });
    expect([more.status, more.json.code]).toEqual([403, 'role_insufficient']);
    expect((await create(token, { name: 'same' })).json.role).toBe('operator');
    expect((await create(token, { name: 'fewer', role: 'auditor' })).json.role).toBe('auditor');
    const query = 'mutation { createApiKey(data: { name: "g" }) { roles { id } } }';
    const made = await kit.call('POST', '/api', { auth: token, json: { query } });
    expect(made.json.data.createApiKey.roles).toEqual([{ id: 'operator' }]);
  });

  test('looser rule: keys_may_manage, which only an owner with a second factor sets → a key creates keys, but no users', async () => {
    const { account, auth } = await signedIn();
    const set = (as: string, value: boolean) =>
      kit.call('PATCH', '/v1/account', { auth: as, json: { keys_may_manage: value } });
    expect((await set(account.apiKey, true)).json.code).toBe('management_required');
    expect((await set(auth, true)).json.keys_may_manage).toBe(true);
    expect((await create(account.apiKey)).status).toBe(201);
    const who = await kit.call('GET', '/v1/auth/session', { auth: account.apiKey });
    expect(who.json.may_manage).toBe(true);
    const user = { email: 'new@example.com', role: 'owner' };
    expect((await kit.call('POST', '/v1/users', { auth: account.apiKey, json: user })).json.code).toBe(
      'management_required',
    );
    expect((await set(account.apiKey, true)).json.code).toBe('management_required');
    expect((await set(auth, false)).json.keys_may_manage).toBe(false);
    expect((await create(account.apiKey)).json.code).toBe('management_required');
  });
});
