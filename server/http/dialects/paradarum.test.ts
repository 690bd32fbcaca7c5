import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { shellFixture } from '../../testing/shell-fixture.ts';
import { ROUTES } from '../routes.ts';
import { CASELESS_PATHS, dialectUrl } from './paths.ts';

const run = shellFixture(new URL('fixtures/paradarum.sh', import.meta.url));
let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.stop());

async function logIn(account: TestAccount): Promise<string> {
  const env = { HOST: kit.url, EMAIL: account.email, KEY: account.apiKey };
  const first = await run('login', env);
  expect(first).toMatchObject({ status: 200, json: { succeeded: true, data: { RequiresTwoFactor: true } } });
  const second = await run('verify', {
    ...env,
    TWO_FACTOR_TOKEN: first.json.data.TwoFactorToken,
    CODE: account.code(),
  });
  expect(second).toMatchObject({ status: 200, json: { succeeded: true } });
  return second.json.data.Token;
}

describe('paradarum', () => {
  test('documented calls: log in, verify, create, list, revoke → envelope, status codes and key form as documented', async () => {
    const account = await kit.account();
    const JWT = await logIn(account);
    const env = { HOST: kit.url, JWT };

    const created = await run('create', env);
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject({ succeeded: true, data: { name: 'WordPress purge plugin' } });
    const { id, key, keyPrefix, createdAt } = created.json.data;
    expect(Number.isInteger(id)).toBe(true);
    expect(key).toMatch(/^pdm_[A-Za-z0-9!@#$%&*]{28}$/);
    expect(keyPrefix).toBe(key.slice(0, 8));
    expect(Number.isNaN(Date.parse(createdAt))).toBe(false);

    const listed = await run('list', env);
    expect(listed.status).toBe(200);
    expect(listed.json.data[0]).toMatchObject({ id, keyPrefix, name: 'WordPress purge plugin', isRevoked: false });
    expect(JSON.stringify(listed.json)).not.toContain(key);

    expect((await run('account', { HOST: kit.url, PDM: key })).json.data).toMatchObject({ email: account.email });
    expect(await run('revoke', { ...env, ID: String(id) })).toMatchObject({ status: 200, json: { succeeded: true } });
    expect(await run('revoke', { ...env, ID: String(id) })).toMatchObject({ status: 400, json: { succeeded: false } });
    expect(await run('revoke', { ...env, ID: '999' })).toMatchObject({ status: 404, json: { succeeded: false } });
    expect(await run('account', { HOST: kit.url, PDM: key })).toMatchObject({
      status: 401,
      json: { succeeded: false },
    });
  });

  test('purge: a device group by its number → its unread transfers burn, those of others stay', async () => {
    const account = await kit.account();
    const stranger = await kit.account();
    const inGroup = await account.device('pi-1', ['greenhouse']);
    const outside = await account.device('pi-2', ['barn']);
    const links: string[] = [];
    for (const device of [inGroup, outside]) {
      const sent = await kit.call('POST', '/v1/upload', { auth: device.key, body: 'reading' });
      links.push(new URL(sent.json.url).pathname);
    }
    const list = await run('properties', { HOST: kit.url, PDM: account.apiKey });
    expect(list.json.data.map(({ name }: { name: string }) => name)).toEqual(['barn', 'greenhouse']);
    const ID = String(list.json.data[1].id);

    const foreign = await run('purge', { HOST: kit.url, PDM: stranger.apiKey, ID });
    expect(foreign).toEqual({
      status: 404,
      json: { succeeded: false, message: 'Property not found.', data: null },
    });
    expect(await run('purge', { HOST: kit.url, PDM: stranger.apiKey, ID: '12345' })).toEqual(foreign);

    const purged = await run('purge', { HOST: kit.url, PDM: account.apiKey, ID });
    expect(purged).toMatchObject({ status: 200, json: { succeeded: true, data: { jobCount: 1 } } });
    const read = (path: string) => kit.call('GET', path, { headers: { 'user-agent': 'curl/8', connection: 'close' } });
    expect((await read(links[0] ?? '')).status).toBe(410);
    expect((await read(links[1] ?? '')).text).toBe('reading');
    const again = await run('purge', { HOST: kit.url, PDM: account.apiKey, ID });
    expect(again.json.data.jobCount).toBe(0);
  });

  test('limit: the eleventh active key → 400; after revoking one → 201', async () => {
    const account = await kit.account();
    const JWT = await logIn(account);
    const ids: number[] = [];
    for (let i = 0; i < 9; i++) ids.push((await run('create', { HOST: kit.url, JWT })).json.data.id);
    expect(await run('create', { HOST: kit.url, JWT })).toMatchObject({ status: 400, json: { succeeded: false } });
    expect((await run('revoke', { HOST: kit.url, JWT, ID: String(ids[0]) })).status).toBe(200);
    expect((await run('create', { HOST: kit.url, JWT })).status).toBe(201);
  });

  test('field names: in any case, by the names other clients use → understood', async () => {
    const account = await kit.account();
    const first = await kit.call('POST', '/API/AUTH/LOGIN', {
      json: { UserName: account.email, PASSWORD: account.apiKey, rememberMe: true },
    });
    const second = await kit.call('POST', '/api/auth/2FA/Verify/', {
      json: { TwoFactorToken: first.json.data.TwoFactorToken, Code: account.recoveryCodes[0] },
    });
    expect(second.json.succeeded).toBe(true);
    const claims = JSON.parse(Buffer.from(second.json.data.Token.split('.')[1], 'base64url').toString());
    expect(claims.exp - claims.iat).toBe(86_400);
  });

  test('second step: with a wrong code, a spent token, or the key revoked meanwhile → 401 in the envelope', async () => {
    const account = await kit.account();
    const first = await kit.call('POST', '/api/auth/login', {
      json: { username: account.email, password: account.apiKey },
    });
    const twoFactorToken = first.json.data.TwoFactorToken;
    const verify = (json: object) => kit.call('POST', '/api/auth/2fa/verify', { json });
    for (const wrong of [
      { twoFactorToken, code: '000000' },
      { twoFactorToken: 'ey.a.b', code: account.code() },
      { twoFactorToken: (await account.signIn()).token, code: account.code() },
    ]) {
      const answer = await verify(wrong);
      expect([answer.status, answer.json.succeeded, answer.json.data]).toEqual([401, false, null]);
    }
    kit.advance(300_000);
    expect((await verify({ twoFactorToken, code: account.code() })).status).toBe(401);
  });

  test('looser rule: keys_may_manage on and no second factor yet → a token at once, and keys manage; enrolled → a code', async () => {
    const account = await kit.account();
    const { store } = kit.server.deps;
    const row = await store.get('accounts', { id: account.accountId });
    if (row === null) throw new Error('expected the account');
    const settings = { keys_may_manage: true };
    await store.commit([
      {
        kind: 'update',
        table: 'accounts',
        row: { ...row, settings, version: row.version + 1 },
        expectVersion: row.version,
      },
    ]);
    const login = () =>
      kit.call('POST', '/api/auth/login', { json: { username: account.email, password: account.apiKey } });
    const JWT = (await login()).json.data.Token;
    expect((await run('create', { HOST: kit.url, JWT })).status).toBe(201);
    await account.signIn();
    expect((await login()).json.data.RequiresTwoFactor).toBe(true);
    expect((await run('create', { HOST: kit.url, JWT })).status).toBe(401);
  });

  test('management: a key alone → 403 in the envelope', async () => {
    const account = await kit.account();
    const answer = await kit.call('POST', '/api/account/apikeys', { apiKey: account.apiKey, json: { name: 'x' } });
    expect([answer.status, answer.json.succeeded]).toEqual([403, false]);
  });

  test('paths: every route that knows no case → in the list; nothing else is rewritten', () => {
    const routes = ROUTES.filter(({ dialect }) => dialect?.ignoresCase === true);
    expect(new Set(routes.map(({ path }) => path))).toEqual(new Set(CASELESS_PATHS));
    expect(dialectUrl('/API/Account/ApiKeys/7?Confirm=X')).toBe('/api/account/apikeys/7?Confirm=X');
    expect(dialectUrl('/api/PROPERTY/AbC/Purge')).toBe('/api/property/AbC/purge');
    for (const path of ['/V1/keys', '/api', '/API', '/GET/x', '/api/other/Thing', '/v1/uploads/AbC?x=/api/Account']) {
      expect(dialectUrl(path)).toBe(path);
    }
  });

  test('swagger: /swagger/v1/swagger.json → these calls alone, with both ways to say a credential', async () => {
    const { json } = await kit.call('GET', '/swagger/v1/swagger.json');
    expect(Object.keys(json.paths).sort()).toEqual(
      CASELESS_PATHS.map((path) => path.replace(/:(\w+)/g, '{$1}')).sort(),
    );
    expect(json.components.securitySchemes).toMatchObject({
      bearer: { type: 'http', scheme: 'bearer' },
      apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
    });
    expect(json.paths['/api/account/apikeys'].post.security).toContainEqual({ apiKey: [] });
  });
});
