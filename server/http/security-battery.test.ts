import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ERRORS } from '#sdk/protocol';
import { encodePublicKey, generateKey, nodeCrypto, nodeRandom } from '#sdk/seal/node';
import { sampleBody, samplePath } from '../testing/sample-request.ts';
import { type Called, type CallOptions, type Kit, startKit, type TestAccount } from '../testing/server-kit.ts';
import { type SignedFields, SigningDevice, type ToSign } from '../testing/signing-device.ts';
import { operatorOf } from '../usecases/account/create-account.ts';
import { addUser } from '../usecases/account/users.ts';
import { createCampaign } from '../usecases/campaign/manage.ts';
import { trustFirmwareKey } from '../usecases/firmware/firmware-keys.ts';
import { addGateway } from '../usecases/gateway/gateways.ts';
import { createKey } from '../usecases/key/manage-keys.ts';
import { putRecipient } from '../usecases/recipient/recipients.ts';
import { addWebhook } from '../usecases/webhook/manage.ts';
import type { RouteDef } from './route.ts';
import { ROUTES } from './routes.ts';

/**
 * Every route of the route list, against everything that may be wrong with a request. A new route is in it by being
 * in the list. Only what a route *may* do is said here by name, so that a new one has to be let in.
 */
let kit: Kit;
let account: TestAccount;
let stranger: TestAccount;
/** Everything the server wrote to its log, and every answer it gave to a request that was refused. */
const logged: string[] = [];
const refusals: string[] = [];

beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockImplementation((line) => {
    logged.push(String(line));
    return true;
  });
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => {
    logged.push(String(line));
    return true;
  });
  kit = await startKit();
  account = await kit.account();
  stranger = await kit.account();
});
afterAll(async () => {
  await kit.stop();
  vi.restoreAllMocks();
});

const names = ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const);
const keyed = names.filter(([, route]) => route.auth === 'key');
const changing = keyed.filter(([, route]) => !['GET', 'HEAD', 'OPTIONS'].includes(route.method));

/** Calls a route as it wants to be called; whatever comes back must not be the server's own fault. */
async function call(route: RouteDef, options: CallOptions & { parameter?: string } = {}): Promise<Called> {
  const { parameter = 'x'.repeat(20), ...rest } = options;
  const body = sampleBody(route);
  const content = body === undefined || rest.body !== undefined || rest.json !== undefined ? {} : { json: body };
  const answer = await kit.call(route.method, samplePath(route, parameter), { ...content, ...rest });
  if (answer.status >= 400) refusals.push(answer.text, JSON.stringify([...answer.headers]));
  // 503 and 507 are honest; 500 is a bug, whatever the request was.
  expect(answer.status).not.toBe(500);
  return answer;
}

/** The registry's code, in whichever manner the dialect has. */
function codeOf(route: RouteDef, answer: Called): string {
  if (route.method === 'HEAD') return answer.headers.get('www-authenticate')?.match(/error="(\w+)"/)?.[1] ?? '';
  if (route.dialect?.name === 'paradarum') {
    expect(answer.json).toMatchObject({ succeeded: false, message: expect.any(String), data: null });
    return answer.headers.get('www-authenticate')?.match(/error="(\w+)"/)?.[1] ?? '';
  }
  return answer.json.code;
}

describe('security battery', () => {
  describe('credentials', () => {
    test.each(keyed)('%s: none → 401 that says how', async (_name, route) => {
      const answer = await call(route);
      expect([answer.status, codeOf(route, answer)]).toEqual([401, 'credentials_missing']);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="fuselink"/);
    });

    test.each(keyed)('%s: each wrong credential → the code that tells what is wrong', async (_name, route) => {
      const operator = operatorOf(account.accountId, account.row);
      const { deps } = kit.server;
      const revoked = await wrongs(deps, operator);
      for (const [options, status, code] of revoked) {
        const answer = await call(route, options);
        expect(answer.status).toBe(status);
        // Paradarum's envelope and an answer to HEAD tell their code in WWW-Authenticate, which only a 401 has.
        const told = codeOf(route, answer);
        if (told !== '' || status === 401) expect(told).toBe(code);
      }
    });

    let made: Promise<[CallOptions, number, string][]> | null = null;
    /** Each way a credential can be wrong. Made once: the account may hold ten keys. */
    function wrongs(deps: Kit['server']['deps'], operator: ReturnType<typeof operatorOf>) {
      made ??= (async () => {
        const key = await createKey(deps, operator, { name: 'to be revoked' });
        const owner = await account.signIn();
        const ended = await account.signIn();
        await kit.call('POST', '/v1/auth/logout', { auth: ended.token });
        await kit.call('DELETE', `/v1/keys/${key.id}`, { auth: owner.token });
        kit.secrets.add(key.key);
        return [
          [{ auth: 'Bearer' }, 401, 'credentials_malformed'],
          [{ auth: `Bearer${account.apiKey}` }, 401, 'credentials_malformed'],
          [{ auth: `Bearer ${account.apiKey.slice(1)}` }, 401, 'credentials_malformed'],
          [{ auth: 'Basic dXNlcjpwYXNz' }, 401, 'credentials_malformed'],
          [{ apiKey: 'pdm_short' }, 401, 'credentials_malformed'],
          [{ auth: '0'.repeat(64) }, 401, 'key_unknown'],
          [{ auth: key.key }, 401, 'key_revoked'],
          [{ auth: ended.token }, 401, 'token_invalid'],
          [{ cookie: ended.cookie }, 401, 'token_invalid'],
          [{ cookie: 'fuselink_session=AAAA' }, 401, 'token_invalid'],
          [{ auth: `${owner.token.slice(0, -4)}AAAA` }, 401, 'token_invalid'],
          [{ auth: account.apiKey, apiKey: stranger.apiKey }, 400, 'credentials_ambiguous'],
          [{ auth: account.apiKey, cookie: owner.cookie }, 400, 'credentials_ambiguous'],
        ] as [CallOptions, number, string][];
      })();
      return made;
    }
  });

  describe('signed requests', () => {
    const signing = once(async () => {
      const device = new SigningDevice(kit, await account.device('signing'));
      await device.send(device.sign({ method: 'GET', target: '/v1/device' }));
      return device;
    });
    function asWanted(route: RouteDef): ToSign {
      const json = sampleBody(route);
      return {
        method: route.method,
        target: samplePath(route, 'x'.repeat(20)),
        headers: json === undefined ? {} : { 'content-type': 'application/json' },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      };
    }

    test.each(keyed)('%s: signed, and wrong in each way → the code that tells what is wrong', async (_name, route) => {
      const device = await signing();
      const good = device.sign(asWanted(route));
      const nobody = new SigningDevice(kit, { id: device.id, key: '00'.repeat(32) });
      const thief = new SigningDevice(kit, { id: stranger.accountId, key: '11'.repeat(32) });
      const other = 'fl=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:';
      const wrong: [SignedFields, number, string][] = [
        [{ ...good, headers: { ...good.headers, signature: 'fl=:AAAA:' } }, 401, 'signature_malformed'],
        [{ ...good, headers: { ...good.headers, signature: other } }, 401, 'signature_invalid'],
        [device.sign({ ...asWanted(route), uncovered: '@path' }), 401, 'signature_incomplete'],
        [nobody.sign(asWanted(route)), 401, 'key_unknown'],
        [thief.sign(asWanted(route)), 401, 'key_unknown'],
        [{ ...good, headers: { ...good.headers, 'x-api-key': account.apiKey } }, 400, 'credentials_ambiguous'],
      ];
      for (const [request, status, code] of wrong) {
        const answer = await device.send(request);
        expect(answer.status).toBe(status);
        const told = codeOf(route, answer);
        if (told !== '' || status === 401) expect(told).toBe(code);
        expect(answer.headers.get('signature')).toBeNull();
        refusals.push(answer.text, JSON.stringify([...answer.headers]));
      }
      await device.send(device.sign({ method: 'GET', target: '/v1/device', nonce: '' }));
      // Whole: the answer is signed whatever it is, and brings the next nonce.
      const request = device.sign(asWanted(route));
      const answer = await device.send(request);
      expect(device.vouchedFor(request, answer)).toBe(true);
      expect(answer.headers.get('fuselink-nonce')).toMatch(/^\d{10}\.[\w-]{39}$/);
      if (route.signed !== true) expect(answer.status).toBe(403);
      const again = await device.send(request);
      if (route.signed === true) expect(codeOf(route, again)).toBe('nonce_used');
    });
  });

  describe('permissions', () => {
    /** What an API key may change without a sign-in. Everything else that changes something must refuse it. */
    const KEYS_MAY = new Set([
      ...['upload', 'uploadByPut', 'tusCreate', 'tusAppend', 'tusAppendByPost', 'tusOverride', 'tusTerminate'],
      ...['burnTransfer', 'reopenTransfer', 'paradarumPurge'],
      ...['cloudtowerGetDevices', 'cloudtowerGetVms', 'cloudtowerGetTransfers', 'cloudtowerGraphql'],
    ]);
    /** Reads that other systems do by POST. GraphQL answers 200 to what it refuses inside. */
    const READS_BY_POST = new Set([
      'cloudtowerGetDevices',
      'cloudtowerGetVms',
      'cloudtowerGetTransfers',
      'cloudtowerGraphql',
    ]);

    test.each(changing)('%s: a leaked API key alone → manages nothing', async (_name, route) => {
      const before = await kit.server.deps.store.count('api_keys', { where: [['account_id', '=', account.accountId]] });
      const answer = await call(route, { auth: account.apiKey });
      if (!KEYS_MAY.has(route.operation.operationId)) expect(answer.status).toBeGreaterThanOrEqual(400);
      const after = await kit.server.deps.store.count('api_keys', { where: [['account_id', '=', account.accountId]] });
      expect(after.rows).toBe(before.rows);
    });

    test.each(changing)('%s: an auditor, signed in → changes nothing', async (_name, route) => {
      auditor ??= signInAuditor();
      const { token } = await auditor;
      const answer = await call(route, { auth: token });
      const { operationId } = route.operation;
      // Ending one's own session is no change of the account.
      if (operationId === 'signOut') {
        auditor = null;
        return;
      }
      if (READS_BY_POST.has(operationId)) {
        if (operationId === 'cloudtowerGraphql')
          expect(answer.json.errors[0].extensions.code).toBe('role_insufficient');
        return;
      }
      expect(answer.status).toBeGreaterThanOrEqual(400);
    });

    let auditor: Promise<{ token: string }> | null = null;
    async function signInAuditor(): Promise<{ token: string }> {
      const operator = operatorOf(account.accountId, account.row);
      const email = `auditor-${kit.server.deps.clock.nowMs()}@example.com`;
      const user = await addUser(kit.server.deps, operator, { email, role: 'auditor' });
      const answer = await kit.call('POST', '/v1/auth/login', {
        json: { email, api_key: account.apiKey, recovery_code: user.recoveryCodes[0] },
      });
      kit.secrets.add(answer.json.token);
      return { token: answer.json.token };
    }

    /** What answers a device's key with anything but a refusal: its own sending and what it is told of itself. */
    const DEVICES_MAY = new Set([
      ...['upload', 'uploadByPut', 'listTransfers', 'cloudtowerGetTransfers', 'whoAmI', 'ownDevice', 'getLimits'],
    ]);

    test.each(keyed)('%s: a device key → never another device, or what the account has', async (_name, route) => {
      const device = await batteryDevice();
      const answer = await call(route, { auth: device.key });
      const { operationId } = route.operation;
      if (route.path === '/api') {
        if (route.method === 'POST') expect(answer.json.errors?.[0].extensions.code).toBeDefined();
        return;
      }
      if (!DEVICES_MAY.has(operationId)) expect(answer.status, operationId).toBeGreaterThanOrEqual(400);
    });
    const batteryDevice = once(() => account.device('battery'));
  });

  describe('other accounts', () => {
    const isTus = (route: RouteDef) => route.path.startsWith('/v1/uploads/');
    const withIds = keyed.filter(([, route]) => route.path.includes(':') && (route.body !== 'file' || isTus(route)));
    const TUS = {
      ...{ 'tus-resumable': '1.0.0', 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
      'x-http-method-override': 'PATCH',
    };

    test.each(withIds)("%s: another account's ids → exactly what an unknown id gets", async (_name, route) => {
      const { token } = await owner();
      const ids = await foreignIds();
      const secret = ids.at(-1) ?? '';
      // What has not the form of an upload's secret needs no look-up at all.
      const unknownId = isTus(route)
        ? secret.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))
        : 'unknown-id-000000000';
      const unknown = await seen(route, token, unknownId);
      expect(unknown.answer.status).toBeGreaterThanOrEqual(400);
      expect(unknown.answer.status).not.toBe(403);
      for (const id of ids) {
        const foreign = await seen(route, token, id);
        expect([foreign.answer.status, withoutId(foreign.answer.text, id)]).toEqual([
          unknown.answer.status,
          withoutId(unknown.answer.text, unknownId),
        ]);
        // As many look-ups, so the same class of time. A number that is none needs no look-up at all.
        if (isTus(route) ? id === secret : !/^\d+$/.test(id)) expect(foreign.reads).toBe(unknown.reads);
      }
    });

    const owner = once(() => stranger.signIn());
    const foreignIds = once(victimIds);
    /** One id of everything an account can have. Extend it with every new kind of thing. */
    async function victimIds(): Promise<string[]> {
      const { deps } = kit.server;
      const device = await account.device('victim', ['victims']);
      const sent = await kit.call('POST', '/v1/upload', { auth: device.key, body: 'victim' });
      kit.secrets.add(sent.json.url.split('/get/')[1]);
      const groups = await kit.call('GET', '/api/property', { auth: account.apiKey });
      const keys = await kit.call('GET', '/api/account/apikeys', { auth: account.apiKey });
      const operator = operatorOf(account.accountId, account.row);
      const webhook = await addWebhook(deps, operator, { url: 'https://hooks.example/a', events: ['device.silent'] });
      kit.secrets.add(webhook.secret);
      const campaign = await createCampaign(deps, operator, { name: 'victims', selection: {}, rules: {}, plan: {} });
      const gateway = await addGateway(deps, operator, { name: 'victim', devices: [device.id] });
      kit.secrets.add(gateway.key);
      const { recipient } = await putRecipient(deps, operator, {
        email: 'victim@example.com',
        publicKey: encodePublicKey(nodeCrypto, generateKey(nodeCrypto, nodeRandom, 'ml-kem-768')),
        replace: false,
      });
      const signer = await trustFirmwareKey(deps, operator, { publicKey: 'ab'.repeat(32), name: 'victim' });
      const image = {
        ...{ id: 'fw_victim00000000000', account_id: account.accountId, release: 'of-the-victim', manifest: '{}' },
        ...{ signature: '', signer: signer.public_key, size: 1, state: 'ready' as const, created_at_ms: 1, version: 1 },
      };
      await deps.store.commit([{ kind: 'insert', table: 'firmware_images', row: image }]);
      const begun = await kit.call('POST', '/v1/uploads', {
        auth: device.key,
        headers: { 'tus-resumable': '1.0.0', 'upload-length': '6' },
      });
      const secret = new URL(begun.headers.get('location') ?? '').pathname.split('/').pop() ?? '';
      kit.secrets.add(secret);
      const [user] = await deps.store.list('users', { where: [['account_id', '=', account.accountId]], limit: 1 });
      return [
        device.id,
        sent.json.id,
        account.row.id,
        account.accountId,
        String(user?.id),
        (await account.signIn()).id,
        String(groups.json.data[0].id),
        String(keys.json.data[0].id),
        webhook.id,
        campaign.id,
        gateway.gateway.id,
        recipient.id,
        signer.public_key,
        image.id,
        image.release,
        secret,
      ];
    }

    async function seen(route: RouteDef, token: string, id: string): Promise<{ answer: Called; reads: number }> {
      const { store } = kit.server.deps;
      let reads = 0;
      const plain = store.get.bind(store) as (...args: unknown[]) => Promise<unknown>;
      const get = vi.spyOn(store, 'get').mockImplementation(((...args: unknown[]) => {
        reads++;
        return plain(...args);
      }) as unknown as typeof store.get);
      try {
        const headers = isTus(route) ? { headers: TUS } : {};
        return { answer: await call(route, { auth: token, parameter: id, ...headers }), reads };
      } finally {
        get.mockRestore();
      }
    }

    const withoutId = (text: string, id: string) => text.replaceAll(id, '<id>');
  });

  describe('bodies', () => {
    const withJson = names.filter(([, route]) => route.body === 'json');

    async function withOwner(route: RouteDef, options: CallOptions): Promise<Called> {
      const { token } = await signedIn();
      return call(route, { ...(route.auth === 'key' ? { auth: token } : {}), ...options });
    }
    const signedIn = once(() => account.signIn());
    const json = { 'content-type': 'application/json' };

    test.each(withJson)('%s: malformed → refused with a reason, and nothing is polluted', async (_name, route) => {
      const bodies = [
        '{',
        '[]',
        'null',
        '"text"',
        '{"a":1}}',
        '\u0000',
        '{"__proto__":{"polluted":true}}',
        '{"constructor":{"prototype":{"polluted":true}}}',
        JSON.stringify({ email: { $ne: null }, api_key: [], name: {}, role: 7, query: {}, variables: 'x', where: 'x' }),
        `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
      ];
      for (const body of bodies) {
        const answer = await withOwner(route, { body, headers: json });
        // GraphQL tells some refusals within a 200; everything else says so in its status.
        if (answer.status < 400) expect(answer.text).toMatch(/^\[|"errors"/);
        expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
      }
    });

    test.each(withJson)('%s: 70 KB → 413, another type → 415', async (_name, route) => {
      const large = await withOwner(route, { body: `{"name":"${'x'.repeat(70_000)}"}`, headers: json });
      expect([413, 401, 404]).toContain(large.status);
      if (route.auth !== 'link') expect(large.status).toBe(413);
      if (route.auth === 'link') return;
      const other = await withOwner(route, { body: 'name=x', headers: { 'content-type': 'text/plain' } });
      expect(other.status).toBe(415);
    });

    test('names: with line breaks, controls and other headers in them → refused, or never in a header of ours', async () => {
      const { token } = await signedIn();
      for (const name of ['a\r\nset-cookie: x=1', 'a\u0000b', '\u202e', 'x'.repeat(5_000)]) {
        const key = await kit.call('POST', '/v1/keys', { auth: token, json: { name } });
        if (name !== '\u202e') expect(key.status).toBe(400);
        const put = await kit.call('PUT', `/v1/upload/${encodeURIComponent(name)}`, {
          auth: account.apiKey,
          body: 'x',
        });
        expect(put.headers.get('set-cookie')).toBeNull();
        if (put.status !== 201) continue;
        kit.secrets.add(put.json.url.split('/get/')[1]);
        const read = await kit.call('HEAD', new URL(put.json.url).pathname);
        expect(read.headers.get('set-cookie')).toBeNull();
        expect(read.headers.get('content-disposition')).toMatch(
          /^attachment; filename="[\x20-\x7e]*"; filename\*=UTF-8''[\x21-\x7e]*$/,
        );
      }
    });
  });

  describe('requests', () => {
    test.each(names)('%s: methods nobody offers there → 405 with what is', async (_name, route) => {
      const offered = new Set(ROUTES.filter(({ path }) => path === route.path).map(({ method }) => method as string));
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
        if (offered.has(method)) continue;
        const answer = await rawCall(method, samplePath(route, 'x'), { authorization: account.apiKey });
        expect([404, 405]).toContain(answer.status);
        if (answer.status === 405) for (const one of offered) expect(answer.headers['allow']).toContain(one);
      }
    });

    test.each(names)('%s: from a page of another site → no CORS header of any kind', async (_name, route) => {
      const origin = { origin: 'https://evil.example', 'access-control-request-method': route.method };
      for (const method of [route.method, 'OPTIONS']) {
        const answer = await rawCall(method, samplePath(route, 'x'), origin);
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
      }
    });

    test.each(names)('%s: any answer → the headers that keep browsers honest', async (_name, route) => {
      const answer = await call(route, { auth: account.apiKey });
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
      expect(answer.headers.get('cache-control')).toContain('no-store');
      expect(answer.headers.get('server')).toBeNull();
      expect(answer.headers.get('x-powered-by')).toBeNull();
    });

    const pages = names.filter(([, route]) => JSON.stringify(route.operation.responses).includes('text/html'));
    test.each(pages)(
      '%s: as a browser opens it → a policy without scripts from elsewhere, not framed',
      async (_name, route) => {
        const page = await call(route, { headers: { accept: 'text/html' } });
        if (!page.headers.get('content-type')?.startsWith('text/html')) {
          expect(page.text).not.toContain('<');
          return;
        }
        const policy = page.headers.get('content-security-policy') ?? '';
        expect(policy).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
        expect(policy).not.toMatch(/unsafe|\*|https?:/);
        expect(page.headers.get('x-frame-options')).toBe('DENY');
        expect(page.text).not.toMatch(/<script[^>]*>[^<]|\son\w+=/);
      },
    );

    test('pages: a link as a browser opens it → a policy without scripts from elsewhere, not framed', async () => {
      const sent = await kit.call('POST', '/v1/upload', { auth: account.apiKey, body: '<script>alert(1)</script>' });
      kit.secrets.add(sent.json.url.split('/get/')[1]);
      const page = await kit.call('GET', new URL(sent.json.url).pathname, { headers: { accept: 'text/html' } });
      expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
      expect(page.headers.get('x-frame-options')).toBe('DENY');
    });

    test.each([
      '//v1/keys',
      '/v1//keys',
      '/v1/keys/../keys',
      '/v1/./keys',
      '/v1/%6beys',
      '/v1/keys%00',
      '/v1/keys%2f..%2fkeys',
      '/V1/KEYS',
      '/v1/keys;x=1',
      '/v1/transfers/%',
      '/v1/transfers/%ff',
      '/v1/transfers/__proto__',
      '/api/property/__proto__/purge',
      '/..%2f..%2fetc%2fpasswd',
      `/get/${'x'.repeat(6_000)}`,
      '/get/%2e%2e%2f',
      '*',
    ])('path %s: without a credential → refused, never served, never 500', async (path) => {
      const answer = await rawCall('GET', path, {});
      expect([400, 401, 404, 405, 414]).toContain(answer.status);
    });

    test.each([
      ['no HTTP at all', 'hello\r\n\r\n'],
      ['two lengths', 'POST /v1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
      [
        'a length and chunks',
        'POST /v1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ],
      ['two hosts', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'],
      [
        'a folded header',
        'GET /v1/keys HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n Authorization: 2\r\nConnection: close\r\n\r\n',
      ],
      ['20 KB of headers', `GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ${'x'.repeat(20_000)}\r\n\r\n`],
    ])('bytes: %s → a 4xx and the end of the connection', async (_what, bytes) => {
      expect(await rawBytes(bytes)).toMatch(/^HTTP\/1\.1 4\d\d /);
    });
  });

  test('faults: a store that breaks with a secret in its message → 500 that says nothing, a log line without it', async () => {
    const { store } = kit.server.deps;
    const lines = logged.length;
    const get = vi.spyOn(store, 'getBeside').mockRejectedValue(new Error(`row of ${account.apiKey} is damaged`));
    const answer = await kit.call('GET', '/v1/keys', { auth: account.apiKey });
    get.mockRestore();
    refusals.push(answer.text);
    expect([answer.status, answer.json.code]).toEqual([500, 'internal']);
    expect(logged.slice(lines).join('')).toContain('is damaged');
  });

  test('secrets: every line logged and every refusal of this suite → not one secret in any', () => {
    expect(kit.secrets.size).toBeGreaterThan(30);
    expect(refusals.length).toBeGreaterThan(500);
    const everything = [...logged, ...refusals].join('\n');
    for (const secret of kit.secrets) {
      if (secret.length >= 16)
        expect(everything.includes(secret), `a secret that begins ${secret.slice(0, 6)}`).toBe(false);
    }
    expect(logged.length).toBeGreaterThan(0);
  });

  test('codes: every error a route says it may answer → is in the registry', () => {
    for (const route of ROUTES) for (const code of route.operation.errors ?? []) expect(ERRORS).toHaveProperty(code);
  });
});

/** What several tests share, made when the first asks. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

/** A request that fetch would tidy up before sending. */
function rawCall(
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; headers: Record<string, unknown> }> {
  const { hostname, port } = new URL(kit.url);
  return new Promise((resolve, reject) => {
    const req = request({ hostname, port, method, path, headers, agent: false }, (res) => {
      res.resume();
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers }));
    });
    req.on('error', reject);
    req.end();
  });
}

function rawBytes(bytes: string): Promise<string> {
  const { hostname, port } = new URL(kit.url);
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.on('data', (part) => parts.push(part));
    socket.on('close', () => resolve(Buffer.concat(parts).toString('latin1')));
    socket.on('error', reject);
  });
}
