import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, seedOf, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { operatorOf } from '../account/create-account.ts';
import { createKey } from '../key/manage-keys.ts';
import { judgeCode } from './second-factor.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.stop());

function login(account: TestAccount, more: Record<string, unknown>, from?: string) {
  return kit.call('POST', '/v1/auth/login', {
    json: { email: account.email, api_key: account.apiKey, ...more },
    ...(from === undefined ? {} : { headers: { 'x-forwarded-for': from } }),
  });
}

async function actions(account: TestAccount): Promise<string[]> {
  const page = await kit.call('GET', '/v1/audit?limit=200', { auth: account.apiKey });
  return page.json.entries.map((entry: { action: string }) => entry.action);
}

describe('sign-in', () => {
  test('sign-in: e-mail, key and the first code → token and cookie, the authenticator is set up', async () => {
    const account = await kit.account();
    const answer = await login(account, { totp: account.code() });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ account_id: account.accountId, email: account.email, role: 'owner' });
    expect(answer.json.recovery_codes_left).toBe(10);
    const lifetimeMs = Date.parse(answer.json.expires_at) - kit.server.deps.clock.nowMs();
    expect(Math.round(lifetimeMs / 60_000)).toBe(60);
    const cookie = answer.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^fuselink_session=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/);
    expect(await actions(account)).toEqual(['sign_in.accepted', 'second_factor.enrolled', 'account.created']);
  });

  test('cookie: at a public https address → __Host- and Secure; under the plain name it is none of ours', async () => {
    const secure = await startKit({ FUSELINK_PUBLIC_URL: 'https://files.example' });
    const account = await secure.account();
    const json = { email: account.email, api_key: account.apiKey, totp: account.code() };
    const made = await secure.call('POST', '/v1/auth/login', { json });
    const [cookie = '', ...attributes] = (made.headers.get('set-cookie') ?? '').split('; ');
    expect(cookie).toMatch(/^__Host-fuselink=[\w-]{43}$/);
    expect(attributes).toEqual(['Path=/', 'Max-Age=3600', 'HttpOnly', 'SameSite=Strict', 'Secure']);
    expect((await secure.call('GET', '/v1/auth/session', { cookie })).json.email).toBe(account.email);
    const plain = cookie.replace('__Host-fuselink', 'fuselink_session');
    expect((await secure.call('GET', '/v1/auth/session', { cookie: plain })).json.code).toBe('credentials_missing');
    await secure.stop();
  });

  test('sign-in: cookie, Bearer token, raw token and both together → one and the same caller', async () => {
    const account = await kit.account();
    const { token, cookie, id } = await account.signIn();
    for (const how of [{ cookie }, { auth: `Bearer ${token}` }, { auth: token }, { auth: token, cookie }]) {
      const who = await kit.call('GET', '/v1/auth/session', how);
      expect(who.json).toMatchObject({ session_id: id, email: account.email, may_manage: true });
    }
    const other = await account.signIn();
    const mixed = await kit.call('GET', '/v1/auth/session', { auth: other.token, cookie });
    expect(mixed.json.code).toBe('credentials_ambiguous');
  });

  test.each([
    ['an unknown e-mail', { email: 'nobody@example.com' }, 401, 'sign_in_failed'],
    ['an unknown key', { api_key: '00'.repeat(32) }, 401, 'sign_in_failed'],
    ['a text that is no key', { api_key: 'password' }, 401, 'sign_in_failed'],
    ['no code', { totp: undefined }, 401, 'totp_required'],
    ['letters for a code', { totp: 'abcdef' }, 401, 'sign_in_failed'],
    ['a code and a recovery code', { recovery_code: 'aaaa-aaaa-aaaa-aaaa' }, 400, 'invalid_field'],
    [
      'a recovery code nobody was given',
      { totp: undefined, recovery_code: 'aaaa-aaaa-aaaa-aaaa' },
      401,
      'sign_in_failed',
    ],
    ['a number for a code', { totp: 123456 }, 400, 'invalid_field'],
    ['a field nobody knows', { password: 'x' }, 400, 'invalid_field'],
  ])('refused: %s → %i %s', async (_what, wrong, status, code) => {
    const account = await kit.account();
    const answer = await login(account, { totp: account.code(), ...wrong });
    expect([answer.status, answer.json.code]).toEqual([status, code]);
    expect(answer.headers.get('set-cookie')).toBeNull();
    expect(answer.text).not.toContain(account.apiKey);
  });

  test('refused: a device key, or the key of another account → sign_in_failed', async () => {
    const account = await kit.account();
    const stranger = await kit.account();
    const device = await account.device('pi');
    for (const key of [device.key, stranger.apiKey]) {
      const answer = await login(account, { api_key: key, totp: account.code() });
      expect(answer.json.code).toBe('sign_in_failed');
    }
  });

  test.each([
    [-2, 401],
    [-1, 200],
    [0, 200],
    [1, 200],
    [2, 401],
  ])('drift: a clock that is %i steps off → %i', async (steps, status) => {
    const account = await kit.account();
    const { deps } = kit.server;
    const now = Math.floor(deps.clock.nowMs() / 30_000);
    const code = deps.totp.code(seedOf(account.totpUri), now + steps);
    expect((await login(account, { totp: code })).status).toBe(status);
  });

  test('equal time: a right code, earlier and later ones, a wrong one → as many comparisons, none by the language', async () => {
    const account = await kit.account();
    const { deps } = kit.server;
    const user = await deps.store.get('users', { email: account.email });
    if (user === null) throw new Error('expected the user');
    let compared = 0;
    const equal = (a: Uint8Array, b: Uint8Array) => {
      compared++;
      return deps.crypto.equal(a, b);
    };
    const now = Math.floor(deps.clock.nowMs() / 30_000);
    const codes = [-1, 0, 1].map((step) => deps.totp.code(seedOf(account.totpUri), now + step));
    const counts = [...codes, '000000'].map((code) => {
      compared = 0;
      judgeCode({ ...deps, crypto: { ...deps.crypto, equal } }, user, code, user.totp_seed);
      return compared;
    });
    expect(counts).toEqual([3, 3, 3, 3]);
  });

  test('once: the same code again, and earlier ones → refused; the next one → accepted', async () => {
    const account = await kit.account();
    const earlier = kit.server.deps.totp.code(
      seedOf(account.totpUri),
      Math.floor(kit.server.deps.clock.nowMs() / 30_000),
    );
    const code = account.code();
    expect((await login(account, { totp: code })).status).toBe(200);
    expect((await login(account, { totp: code })).json.detail).toContain('already used');
    expect((await login(account, { totp: earlier })).json.detail).toContain('already used');
    expect((await login(account, { totp: account.code() })).status).toBe(200);
  });

  test('once: twenty requests with one code at the same moment → exactly one session', async () => {
    const account = await kit.account();
    const code = account.code();
    const answers = await Promise.all(Array.from({ length: 20 }, () => login(account, { totp: code })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test('recovery: each code works once, in any case and spacing, and is counted down', async () => {
    const account = await kit.account();
    const [first = '', second = ''] = account.recoveryCodes;
    const answer = await login(account, { recovery_code: first.toUpperCase().replaceAll('-', ' ') });
    expect([answer.status, answer.json.recovery_codes_left]).toEqual([200, 9]);
    expect((await login(account, { recovery_code: first })).json.detail).toContain('already used');
    expect((await login(account, { recovery_code: second })).json.recovery_codes_left).toBe(8);
  });

  test('key: a session or token dies with the key that made it, at the very next request', async () => {
    const account = await kit.account();
    const { deps } = kit.server;
    const second = await createKey(deps, operatorOf(account.accountId, account.row), { name: 'second' });
    const made = await kit.call('POST', '/v1/auth/login', {
      json: { email: account.email, api_key: second.key, totp: account.code() },
    });
    const owner = await account.signIn();
    expect((await kit.call('GET', '/v1/keys', { auth: made.json.token })).status).toBe(200);
    expect((await kit.call('DELETE', `/v1/keys/${second.id}`, { auth: owner.token })).status).toBe(200);
    const after = await kit.call('GET', '/v1/keys', { auth: made.json.token });
    expect([after.status, after.json.code]).toEqual([401, 'token_invalid']);
    const again = await kit.call('POST', '/v1/auth/login', {
      json: { email: account.email, api_key: second.key, totp: account.code() },
    });
    expect(again.json.code).toBe('key_revoked');
  });

  test('logout: cookie and token both → refused from the next request on; a key has no session to end', async () => {
    const account = await kit.account();
    const { token, cookie } = await account.signIn();
    const bye = await kit.call('POST', '/v1/auth/logout', { cookie });
    expect(bye.status).toBe(204);
    expect(bye.headers.get('set-cookie')).toContain('Max-Age=0');
    expect((await kit.call('GET', '/v1/keys', { auth: token })).json.code).toBe('token_invalid');
    expect((await kit.call('GET', '/v1/keys', { cookie })).json.code).toBe('token_invalid');
    expect((await kit.call('POST', '/v1/auth/logout', { auth: account.apiKey })).status).toBe(400);
  });

  test('logout: everywhere → every session of the user, on every device, and nobody else', async () => {
    const account = await kit.account();
    const sessions = [await account.signIn(), await account.signIn(), await account.signIn()];
    const other = await (await kit.account()).signIn();
    const bye = await kit.call('POST', '/v1/auth/logout?everywhere=true', { auth: sessions[1]?.token ?? '' });
    expect(bye.status).toBe(204);
    for (const { token } of sessions) {
      expect((await kit.call('GET', '/v1/keys', { auth: token })).json.code).toBe('token_invalid');
    }
    expect((await kit.call('GET', '/v1/keys', { auth: other.token })).status).toBe(200);
    expect((await kit.call('POST', '/v1/auth/logout?everywhere=maybe', { auth: other.token })).status).toBe(400);
  });

  test('expiry: an hour later → token_expired, by cookie and by token', async () => {
    const account = await kit.account();
    const { token, cookie } = await account.signIn();
    kit.advance(3_600_000);
    expect((await kit.call('GET', '/v1/keys', { auth: token })).json.code).toBe('token_expired');
    expect((await kit.call('GET', '/v1/keys', { cookie })).json.code).toBe('token_expired');
  });

  test('token: tampered with, of another purpose, unsigned, or signed by another → token_invalid', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const [head = '', body = '', signature = ''] = token.split('.');
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const half = await kit.call('POST', '/api/Auth/Login', {
      json: { username: account.email, password: account.apiKey },
    });
    for (const forged of [
      `${head}.${part({ ...claims, sub: 'ses_00000000000000000000' })}.${signature}`,
      `${part({ alg: 'none', kid: '1' })}.${body}.${signature}`,
      `${part({ alg: 'HS256', kid: '9' })}.${body}.${signature}`,
      `${head}.${body}.${'A'.repeat(43)}`,
      half.json.data.TwoFactorToken,
    ]) {
      expect((await kit.call('GET', '/v1/keys', { auth: forged })).json.code).toBe('token_invalid');
    }
  });

  test('roles: a sign-in has what both its user and its key may do', async () => {
    const account = await kit.account();
    const { deps } = kit.server;
    const low = await createKey(deps, operatorOf(account.accountId, account.row), { name: 'low', role: 'auditor' });
    const made = await kit.call('POST', '/v1/auth/login', {
      json: { email: account.email, api_key: low.key, totp: account.code() },
    });
    const who = await kit.call('GET', '/v1/auth/session', { auth: made.json.token });
    expect(who.json.role).toBe('auditor');
    const create = await kit.call('POST', '/v1/keys', { auth: made.json.token, json: { name: 'x' } });
    expect(create.json.code).toBe('role_insufficient');
  });

  test('cross-site: a cookie from another site, or a login from one → cross_site_request; a token is not a cookie', async () => {
    const account = await kit.account();
    const { token, cookie } = await account.signIn();
    for (const headers of [
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site', origin: kit.url },
      { origin: 'null' },
    ] as Record<string, string>[]) {
      const refused = await kit.call('POST', '/v1/keys', { cookie, json: { name: 'x' }, headers });
      expect(refused.json.code).toBe('cross_site_request');
      const loginAcross = await kit.call('POST', '/v1/auth/login', { json: {}, headers });
      expect(loginAcross.json.code).toBe('cross_site_request');
    }
    const own = await kit.call('POST', '/v1/keys', { cookie, json: { name: 'own' }, headers: { origin: kit.url } });
    expect(own.status).toBe(201);
    const byToken = await kit.call('POST', '/v1/keys', {
      auth: token,
      json: { name: 'token' },
      headers: { origin: 'https://evil.example' },
    });
    expect(byToken.status).toBe(201);
  });
});
