import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, seedOf, startKit, type TestAccount } from '../../testing/server-kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.stop());

let people = 0;
/** One more user of the account, as the API made it. */
async function addUser(auth: string, role: string) {
  const email = `user-${++people}@example.com`;
  const answer = await kit.call('POST', '/v1/users', { auth, json: { email, role } });
  return { email, answer };
}

function signIn(account: TestAccount, email: string, more: object) {
  return kit.call('POST', '/v1/auth/login', { json: { email, api_key: account.apiKey, ...more } });
}

/** The code an authenticator with this URI shows, half a minute further on each time. */
function codeOf(uri: string): string {
  kit.advance(30_000);
  const { deps } = kit.server;
  return deps.totp.code(seedOf(uri), Math.floor(deps.clock.nowMs() / 30_000));
}

describe('users', () => {
  test('add: an owner, signed in → what the new person needs, shown once; they sign in with their own role', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const { email, answer } = await addUser(token, 'operator');
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ email, role: 'operator', second_factor: 'pending' });
    expect(answer.json.recovery_codes).toHaveLength(10);
    const signed = await signIn(account, email, { totp: codeOf(answer.json.totp_uri) });
    const who = await kit.call('GET', '/v1/auth/session', { auth: signed.json.token });
    expect(who.json).toMatchObject({ email, role: 'operator', may_manage: true });
    expect((await addUser(signed.json.token, 'auditor')).answer.json.code).toBe('role_insufficient');
    const listed = await kit.call('GET', '/v1/users', { auth: token });
    expect(listed.json.users.map((user: { email: string }) => user.email)).toEqual([email, account.email]);
    expect(listed.text).not.toMatch(/seed|hash|secret/);
  });

  test('add: an e-mail somebody has, in this account or another → conflict; no e-mail → 400', async () => {
    const account = await kit.account();
    const other = await kit.account();
    const { token } = await account.signIn();
    for (const email of [account.email, other.email.toUpperCase()]) {
      const answer = await kit.call('POST', '/v1/users', { auth: token, json: { email, role: 'auditor' } });
      expect(answer.json.code).toBe('conflict');
    }
    for (const email of ['', 'nobody', 'a@b@c', 'a b@c', 'x@y\nz']) {
      const answer = await kit.call('POST', '/v1/users', { auth: token, json: { email, role: 'auditor' } });
      expect(answer.json.code).toBe('invalid_field');
    }
  });

  test('role: changed → holds for the very next request of a session made before; the last owner stays one', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const { email, answer } = await addUser(token, 'owner');
    const signed = await signIn(account, email, { totp: codeOf(answer.json.totp_uri) });
    const patch = (id: string, role: string) => kit.call('PATCH', `/v1/users/${id}`, { auth: token, json: { role } });
    expect((await patch(answer.json.id, 'auditor')).json.role).toBe('auditor');
    const create = await kit.call('POST', '/v1/keys', { auth: signed.json.token, json: { name: 'x' } });
    expect(create.json.code).toBe('role_insufficient');
    const users = await kit.call('GET', '/v1/users', { auth: token });
    const self = users.json.users.find((user: { email: string }) => user.email === account.email);
    expect((await patch(self.id, 'operator')).json.code).toBe('conflict');
    expect((await kit.call('DELETE', `/v1/users/${self.id}`, { auth: token })).json.code).toBe('conflict');
  });

  test('remove: a user → sessions end at once, and signing in again fails', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const { email, answer } = await addUser(token, 'operator');
    const signed = await signIn(account, email, { totp: codeOf(answer.json.totp_uri) });
    expect((await kit.call('DELETE', `/v1/users/${answer.json.id}`, { auth: token })).status).toBe(204);
    expect((await kit.call('GET', '/v1/keys', { auth: signed.json.token })).json.code).toBe('token_invalid');
    const again = await signIn(account, email, { recovery_code: answer.json.recovery_codes[0] });
    expect(again.json.code).toBe('sign_in_failed');
  });

  test('reset: of a second factor → old code, recovery codes and sessions are worth nothing; the new ones work', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const { email, answer } = await addUser(token, 'operator');
    const signed = await signIn(account, email, { totp: codeOf(answer.json.totp_uri) });
    const reset = await kit.call('POST', `/v1/users/${answer.json.id}/reset-second-factor`, { auth: token });
    expect(reset.json.totp_uri).not.toBe(answer.json.totp_uri);
    expect((await kit.call('GET', '/v1/keys', { auth: signed.json.token })).json.code).toBe('token_invalid');
    expect((await signIn(account, email, { totp: codeOf(answer.json.totp_uri) })).status).toBe(401);
    const old = await signIn(account, email, { recovery_code: answer.json.recovery_codes[1] });
    expect(old.status).toBe(401);
    expect((await signIn(account, email, { totp: codeOf(reset.json.totp_uri) })).status).toBe(200);
    const users = await kit.call('GET', '/v1/users', { auth: token });
    const self = users.json.users.find((user: { email: string }) => user.email === account.email);
    const own = await kit.call('POST', `/v1/users/${self.id}/reset-second-factor`, { auth: token });
    expect(own.json.code).toBe('conflict');
  });
});

describe('second factor', () => {
  test('enrol: with the setup secret → a new seed until the first code, then never again; a stolen key alone → refused', async () => {
    const account = await kit.account();
    const enrol = (setup: string) =>
      kit.call('POST', '/v1/auth/totp/enrol', {
        json: { email: account.email, api_key: account.apiKey, setup_secret: setup },
      });
    for (const wrong of ['', 'aaaaa-aaaaa-aaaaa-aaaaa', account.recoveryCodes[0] ?? '']) {
      expect((await enrol(wrong)).json.code).toBe('setup_secret_invalid');
    }
    const first = await enrol(account.setupSecret);
    expect(first.json.totp_qr_svg).toMatch(/^<svg/);
    const second = await enrol(account.setupSecret.toUpperCase().replaceAll('-', ' '));
    expect((await signIn(account, account.email, { totp: codeOf(first.json.totp_uri) })).status).toBe(401);
    expect((await signIn(account, account.email, { totp: codeOf(second.json.totp_uri) })).status).toBe(200);
    expect((await enrol(account.setupSecret)).json.code).toBe('totp_already_enrolled');
    const [before] = account.recoveryCodes;
    expect((await signIn(account, account.email, { recovery_code: before })).status).toBe(401);
  });

  test('replace: with a fresh code → the old authenticator works until the new one shows a code, then only the new one', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const other = await account.signIn();
    const post = (path: string, totp: string) =>
      kit.call('POST', `/v1/auth/totp/${path}`, { auth: token, json: { totp } });
    expect((await post('confirm', '123456')).json.code).toBe('conflict');
    expect((await post('replace', '000000')).json.code).toBe('sign_in_failed');
    const begun = await post('replace', account.code());
    expect(begun.json).not.toHaveProperty('recovery_codes');
    expect((await signIn(account, account.email, { totp: account.code() })).status).toBe(200);
    expect((await post('confirm', codeOf(begun.json.totp_uri))).status).toBe(204);
    expect((await kit.call('GET', '/v1/keys', { auth: other.token })).json.code).toBe('token_invalid');
    expect((await kit.call('GET', '/v1/keys', { auth: token })).status).toBe(200);
    expect((await signIn(account, account.email, { totp: account.code() })).status).toBe(401);
    expect((await signIn(account, account.email, { totp: codeOf(begun.json.totp_uri) })).status).toBe(200);
  });

  test('recovery codes: renewed with a fresh code → the old ones are worth nothing', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const answer = await kit.call('POST', '/v1/auth/totp/recovery-codes', {
      auth: token,
      json: { totp: account.code() },
    });
    expect(answer.json.recovery_codes).toHaveLength(10);
    const [old] = account.recoveryCodes;
    expect((await signIn(account, account.email, { recovery_code: old })).status).toBe(401);
    const [fresh] = answer.json.recovery_codes;
    expect((await signIn(account, account.email, { recovery_code: fresh })).status).toBe(200);
  });

  test('at rest: seed, recovery codes, setup secret, cookie and key → none in any row', async () => {
    const account = await kit.account();
    const { cookie } = await account.signIn();
    const { store } = kit.server.deps;
    const rows: unknown[] = [];
    for (const table of ['users', 'recovery_codes', 'sessions', 'api_keys', 'accounts', 'audit'] as const) {
      rows.push(...(await store.list(table, { where: [], limit: 10_000 })));
    }
    const bytesAsText = (_key: string, value: unknown) =>
      value instanceof Uint8Array
        ? `${Buffer.from(value).toString('hex')} ${Buffer.from(value).toString('latin1')}`
        : value;
    const everything = JSON.stringify(rows, bytesAsText);
    const seed = seedOf(account.totpUri);
    const secrets = [
      account.apiKey,
      account.setupSecret,
      account.setupSecret.replaceAll('-', ''),
      ...account.recoveryCodes,
      ...account.recoveryCodes.map((code) => code.replaceAll('-', '')),
      cookie.split('=')[1] ?? '',
      Buffer.from(seed).toString('hex'),
    ];
    for (const secret of secrets) expect(everything.includes(secret)).toBe(false);
    expect(everything.length).toBeGreaterThan(1_000);
  });
});
