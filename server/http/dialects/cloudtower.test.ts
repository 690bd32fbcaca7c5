import { buildClientSchema, getIntrospectionQuery } from 'graphql';
import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { shellFixture } from '../../testing/shell-fixture.ts';
import { DEPTH_MAX, FIELDS_MAX } from './graphql-limits.ts';

const run = shellFixture(new URL('fixtures/cloudtower.sh', import.meta.url));
let kit: Kit;
beforeAll(async () => {
  kit = await startKit({ FUSELINK_DIALECT_PASSWORD_LOGIN: 'true' });
});
afterAll(() => kit.stop());

function ask(account: TestAccount, query: string, variables?: object) {
  return kit.call('POST', '/api', { auth: account.apiKey, json: { query, variables } });
}

describe('cloudtower', () => {
  test('documented calls: log in, create a key, list with it, delete it → answers as documented', async () => {
    const account = await kit.account();
    await account.device('pi-1');
    await account.device('pi-2');
    await account.device('esp');
    const login = await run('login', {
      CLOUDTOWER_ENDPOINT: kit.url,
      EMAIL: account.email,
      PASSWORD: account.apiKey,
    });
    expect(login.status).toBe(200);
    expect(login.json).toEqual({ task_id: expect.any(String), data: { token: expect.any(String) } });
    const env = { CLOUDTOWER_ENDPOINT: kit.url, TOKEN: login.json.data.token, NAME: 'script' };

    const created = await run('create', env);
    expect(created.json.data.createApiKey).toEqual({
      id: expect.any(String),
      key: expect.stringMatching(/^[0-9a-f]{64}$/),
      roles: [{ id: 'owner', preset: 'ROOT' }],
    });
    const KEY = created.json.data.createApiKey.key;
    const vms = await run('get-vms', { ...env, KEY });
    expect(vms.json.map(({ name }: { name: string }) => name).sort()).toEqual(['esp', 'pi-1', 'pi-2']);
    const devices = await run('get-devices', { ...env, KEY });
    expect(devices.json.map(({ name }: { name: string }) => name)).toEqual(['pi-2']);
    await kit.call('POST', '/v1/upload', { auth: KEY, body: 'x' });
    const transfers = await run('get-transfers', { ...env, KEY });
    expect(transfers.json).toMatchObject([{ state: 'ready', size: 1 }]);

    // A login by password alone creates keys and manages nothing else.
    const refused = await run('delete', { ...env, KEY });
    expect(refused.json.errors[0].extensions.code).toBe('management_required');
    const { token } = await account.signIn();
    const deleted = await run('delete', { ...env, KEY, TOKEN: token });
    expect(deleted.json.data.deleteApiKey.id).toBe(created.json.data.createApiKey.id);
    expect((await run('get-vms', { ...env, KEY })).status).toBe(401);
    expect((await run('create', env)).status).toBe(401);
  });

  test('login: once a second factor is set up → refused, and told to use an API key; another source → 400', async () => {
    const account = await kit.account();
    await account.signIn();
    const login = (json: object) => kit.call('POST', '/v2/api/login', { json });
    const password = { username: account.email, password: account.apiKey, source: 'LOCAL' };
    const refused = await login(password);
    expect([refused.status, refused.json.code]).toEqual([403, 'password_sign_in_refused']);
    expect(refused.json.message).toContain('API key');
    expect((await login({ ...password, source: 'LDAP' })).status).toBe(400);
    expect((await login({ ...password, password: 'ab'.repeat(32) })).json.code).toBe('sign_in_failed');
  });

  test('login: where the operator has not allowed it → refused, and told which setting', async () => {
    const strict = await startKit();
    try {
      const account = await strict.account();
      const answer = await strict.call('POST', '/v2/api/login', {
        json: { username: account.email, password: account.apiKey, source: 'LOCAL' },
      });
      expect(answer.json).toMatchObject({ code: 'password_sign_in_refused' });
      expect(answer.json.message).toContain('FUSELINK_DIALECT_PASSWORD_LOGIN');
    } finally {
      await strict.stop();
    }
  });

  test.each([
    [{ where: { colour: 'red' } }, 'where.colour'],
    [{ where: [] }, 'where'],
    [{ where: { name_in: 'x' } }, 'where.name_in'],
    [{ where: { name: {} } }, 'where.name'],
    [{ where: { constructor: 'x' } }, 'where.constructor'],
    [{ orderBy: 'name' }, 'orderBy'],
    [{ orderBy: 7 }, 'orderBy'],
    [{ first: -1 }, 'first'],
    [{ skip: 1.5 }, 'skip'],
  ])('lists: %j → 400 that names %s', async (json, field) => {
    const account = await kit.account();
    const answer = await kit.call('POST', '/v2/api/get-devices', { auth: account.apiKey, json });
    expect(answer.status).toBe(400);
    expect(answer.json.message).toContain(field);
  });

  test('graphql: keys of another account → null, and deleting one is not_found', async () => {
    const account = await kit.account();
    const stranger = await kit.account();
    const { token } = await account.signIn();
    const asked = await ask(account, 'query($id: ID!) { apiKey(where: { id: $id }) { id } }', { id: stranger.row.id });
    expect(asked.json).toEqual({ data: { apiKey: null } });
    const gone = await kit.call('POST', '/api', {
      auth: token,
      json: { query: `mutation { deleteApiKey(where: { key: "${stranger.apiKey}" }) { id } }` },
    });
    expect(gone.json.errors[0].extensions.code).toBe('not_found');
    expect((await kit.call('GET', '/v1/keys', { auth: stranger.apiKey })).status).toBe(200);
  });

  test('graphql: apiKeys with filter, order and window → those; introspection → the whole schema', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    for (const name of ['b', 'a', 'c']) await kit.call('POST', '/v1/keys', { auth: token, json: { name } });
    const listed = await ask(
      account,
      '{ apiKeys(orderBy: name_ASC, skip: 1, first: 2) { name key prefix roles { preset } } }',
    );
    expect(listed.json.data.apiKeys.map(({ name }: { name: string }) => name)).toEqual(['b', 'c']);
    expect(listed.json.data.apiKeys[0]).toMatchObject({ key: null, roles: [{ preset: 'ROOT' }] });
    const schema = buildClientSchema((await ask(account, getIntrospectionQuery())).json.data);
    expect(schema.getMutationType()?.getFields()).toHaveProperty('createApiKey');
  });

  test('graphql: too deep, too wide, too long, or a few lines that unfold into millions of fields → refused unrun', async () => {
    const account = await kit.account();
    const deep = `{ apiKeys ${'{ ... '.repeat(3)}${'{ roles '.repeat(DEPTH_MAX)}${'}'.repeat(DEPTH_MAX + 3)} }`;
    const wide = `{ ${Array.from({ length: FIELDS_MAX }, (_, i) => `k${i}: apiKeys { id }`).join(' ')} }`;
    const long = `{ ${'__typename '.repeat(5_000)} }`;
    const bomb = `{ ...f0 } ${Array.from({ length: 30 }, (_, i) => `fragment f${i} on Query { a${i}: __typename ...f${i + 1} ...f${i + 1} }`).join(' ')} fragment f30 on Query { __typename }`;
    for (const [query, part] of [
      [deep, 'levels'],
      [wide, 'fields'],
      [long, 'tokens'],
      [bomb, 'fields'],
    ]) {
      const answer = await ask(account, query ?? '');
      expect(answer.json.data).toBeUndefined();
      expect(answer.json.errors[0].message).toContain(part);
    }
    const cycle = await ask(account, '{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }');
    expect(cycle.json.errors[0].message).toContain('Cannot spread fragment');
  });

  test('graphql: a mutation by GET → 405; without a credential → 401', async () => {
    const account = await kit.account();
    const query = encodeURIComponent('mutation { createApiKey(data: { name: "x" }) { id } }');
    expect((await kit.call('GET', `/api?query=${query}`, { auth: account.apiKey })).status).toBe(405);
    expect((await kit.call('POST', '/api', { json: { query: '{ __typename }' } })).status).toBe(401);
  });

  test('graphql: the GraphQL-over-HTTP audits → every one passes, at /api and at /api/', async () => {
    const account = await kit.account();
    for (const path of ['/api', '/api/']) {
      const audits = serverAudits({
        url: kit.url + path,
        fetchFn: (url: string, init: RequestInit = {}) =>
          fetch(url, {
            ...init,
            headers: { ...(init.headers as Record<string, string>), authorization: account.apiKey },
          }),
      });
      const failed: string[] = [];
      for (const audit of audits) {
        const result = await audit.fn();
        if (result.status !== 'ok') failed.push(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
      }
      expect(audits.length).toBeGreaterThan(50);
      expect(failed).toEqual([]);
    }
  });
});
