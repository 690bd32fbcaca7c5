import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { sha256Hex } from '../../test/support/read-back.ts';
import { type FakeRelay, fakeRelay } from '../node/testing/fake-relay.ts';
import { content, type Interpreter, literal, onEachInterpreter } from './testing/interpreters.ts';

const KEY = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff';
const LARGE_BYTES = 300_000;

onEachInterpreter('uploads to a server that does wrong', (open) => {
  let python: Interpreter;
  let relay: FakeRelay;
  const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));
  /** What `client.send(…)` returned, or how it was refused. */
  const send = async (words: string) =>
    JSON.parse(await python.run(`print(testkit.attempt(lambda: client.send(${words})))`));
  const connect = (url: string, options = '') =>
    python.run(`client = testkit.client(${literal(url)}, key=${literal(KEY)}, tell=told.append, ${options})`);

  beforeAll(async () => {
    python = await open();
    await python.run(`told = []; large = testkit.content(${LARGE_BYTES})`);
  });
  afterAll(() => python?.close());
  const is = (method: string) => (request: IncomingMessage) => request.method === method;
  /** Answers the next request of this method in the server's place. */
  const instead = (method: string, run: (response: ServerResponse) => void) =>
    relay.faults.push({
      on: is(method),
      run: async ({ request, response }) => {
        for await (const _chunk of request);
        run(response);
        return true;
      },
    });
  const problem = (response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) =>
    response.writeHead(status, headers).end(JSON.stringify(body));

  beforeEach(async () => {
    relay = await fakeRelay();
    relay.keys.add(KEY);
    await connect(relay.url);
    await python.run('told.clear()');
  });
  afterEach(() => relay.close());

  const pages = { status: 200, type: 'text/html', body: '<html>Welcome! Please log in.</html>' };
  test('a captive portal answers 200 to everything → never taken for success, and said so', async () => {
    for (let i = 0; i < 5; i++) {
      instead('POST', (response) => response.writeHead(pages.status, { 'Content-Type': pages.type }).end(pages.body));
    }
    expect(await send('b"abc"')).toMatchObject({ code: 'not_fuselink', resumable: true });
    expect(relay.held).toEqual([]);
  });

  test('the portal lets go after two pages → stored', async () => {
    for (let i = 0; i < 2; i++) instead('POST', (response) => response.end(pages.body));
    expect(await send('b"abc"')).toMatchObject({ size: 3, sha256: sha256Hex('abc') });
  });

  test('a redirect → not followed, the key goes nowhere else', async () => {
    for (let i = 0; i < 5; i++) {
      instead('POST', (response) => response.writeHead(307, { Location: 'http://127.0.0.1:1/' }).end());
    }
    expect((await send('b"abc"')).code).toBe('not_fuselink');
  });

  test('429 with Retry-After → waits at least so long, then goes on', async () => {
    instead('POST', (response) =>
      problem(response, 429, { code: 'upload_limit_exceeded', detail: 'x' }, { 'Retry-After': '37' }),
    );
    expect((await send('b"abc"')).size).toBe(3);
    expect(await value('client.clock.now')).toBeGreaterThanOrEqual(37_000);
  });

  test('the budget is used up with this upload → the next one waits instead of being refused', async () => {
    instead('POST', (response) => {
      const body = { id: 'x', url: 'http://x/get/x', size: 3, sha256: sha256Hex('abc') };
      problem(response, 201, body, { RateLimit: '"uploads";r=0;t=41' });
    });
    await send('b"abc"');
    expect(await value('client.clock.now')).toBe(0);
    await send('b"abc"');
    expect(await value('client.clock.now')).toBeGreaterThanOrEqual(41_000);
  });

  test('503 and broken lines → again, a little later each time', async () => {
    for (let i = 0; i < 3; i++) instead('POST', (response) => response.writeHead(503).end());
    relay.faults.push({ on: is('POST'), run: ({ socket }) => Boolean(socket.destroy()) });
    expect((await send('b"abc"')).size).toBe(3);
    // The broken line was one that had been used before: that is tried again at once, over a fresh one.
    expect((await value('told')).length).toBeGreaterThanOrEqual(3);
  });

  test.each([
    ['key_unknown', {}],
    ['key_not_yet_valid', {}],
    ['key_revoked', { fingerprint: 'aaaaaaaaaaaaaaaa' }],
  ])('401 %s → told at once, and the same call may be made again', async (code, more) => {
    instead('POST', (response) => problem(response, 401, { code, detail: 'No.', ...more }));
    expect(await send('b"abc"')).toMatchObject({ code, status: 401, resumable: true });
    expect((await send('b"abc"')).size).toBe(3);
  });

  test('401 while nobody waits for an answer (patient) → kept, and tried at the slow pace', async () => {
    instead('POST', (response) => problem(response, 401, { code: 'key_unknown', detail: 'No.' }));
    expect((await send('b"abc", patient=True')).size).toBe(3);
    expect(await value('client.clock.now')).toBeGreaterThanOrEqual(30_000);
  });

  test('the server holds other bytes than were sent → removed there, sent again under another key', async () => {
    instead('POST', (response) => problem(response, 201, { id: 'wrong', url: 'http://x/', size: 3, sha256: '00' }));
    expect(await send('b"abc"')).toMatchObject({ sha256: sha256Hex('abc') });
    expect(relay.requests).toEqual(['POST /v1/upload', 'DELETE /v1/transfers/wrong', 'POST /v1/upload']);
    const keys = relay.headers.map((headers) => headers['idempotency-key']).filter((key) => key !== undefined);
    expect(new Set(keys).size).toBe(2);
  });

  test('a proxy refuses large bodies (413 without a code) → the same bytes in smaller pieces', async () => {
    instead('PATCH', (response) => response.writeHead(413).end());
    instead('PATCH', (response) => response.writeHead(413).end());
    expect(await send('large')).toMatchObject({ size: LARGE_BYTES, sha256: sha256Hex(content(LARGE_BYTES)) });
  });

  test('the upload is gone at the server (410) → sent afresh under another key', async () => {
    instead('PATCH', (response) => problem(response, 410, { code: 'upload_gone', detail: 'x' }));
    expect(await send('large')).toMatchObject({ sha256: sha256Hex(content(LARGE_BYTES)) });
    expect(relay.finished().length).toBe(1);
  });

  test('a Location on another host, and a server behind a path → key and bytes go to the server alone', async () => {
    instead('POST', (response) => response.writeHead(201, { Location: 'http://127.0.0.1:1/v1/uploads/x' }).end());
    instead('PATCH', (response) => problem(response, 410, { code: 'upload_gone', detail: 'x' }));
    expect((await send('large')).size).toBe(LARGE_BYTES);
    expect(relay.requests.slice(0, 2)).toEqual(['POST /v1/uploads', 'PATCH /v1/uploads/:secret']);
    await connect(`${relay.url}/behind/`);
    const places = ['/behind/v1/uploads/x', 'https://elsewhere/behind/v1/uploads/x', '/v1/uploads/x'];
    expect(await value(`[client.path_of(place) for place in ${literal(places)}]`)).toEqual(
      places.map(() => '/v1/uploads/x'),
    );
    expect((await send('b"abc", give_up_seconds=0')).code).not.toBe('source_unreadable');
    expect(relay.requests.at(-1)).toBe('POST /behind/v1/upload');
  });

  test('an Idempotency-Key: device, boot, sequence and 128 random bits, another one for every upload', async () => {
    await connect(relay.url, 'device="pump 7"');
    await send('b"a"');
    await send('b"b"');
    const keys = relay.headers.map((headers) => String(headers['idempotency-key']));
    for (const key of keys) expect(key).toMatch(/^pump_7\.\d+\.\d+\.[0-9a-f]{32}$/);
    expect(new Set(keys).size).toBe(2);
  });

  test('nothing that is said to people holds the key or a link', async () => {
    for (let i = 0; i < 2; i++) instead('POST', (response) => response.writeHead(503).end());
    instead('PATCH', (response) => response.writeHead(503).end());
    const sent = await send('large');
    const said = JSON.stringify(await value('told'));
    expect(said).toContain('trying again');
    for (const secret of [KEY, sent.url, String(relay.held[0]?.token)]) expect(said).not.toContain(secret);
  });

  test.each([
    ['ttl=5', 'option_invalid'],
    ['ttl="soon"', 'option_invalid'],
  ])('%s → refused before anything is sent', async (option, code) => {
    expect((await send(`b"abc", ${option}`)).code).toBe(code);
    expect(relay.requests).toEqual([]);
  });

  test.each(['"ftp://x"', '"http://"', '"http://user:pass@x"', '"http://x?key=1"', '"http://x:port"'])(
    'a client for %s → option_invalid',
    async (url) => {
      const refused = JSON.parse(
        await python.run(`print(testkit.attempt(lambda: testkit.client(${url}, key=${literal(KEY)}).url))`),
      );
      expect(refused.code).toBe('option_invalid');
    },
  );
});
