import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTusMetadata } from '../domain/upload/tus-metadata.ts';
import { samplePath } from '../testing/sample-request.ts';
import { type Kit, startKit, type TestAccount } from '../testing/server-kit.ts';
import { decodeCursor, encodeCursor } from '../usecases/paging.ts';
import { ROUTES } from './routes.ts';

/** Whatever a client sends, the server answers, and never with 500. Each failure prints its seed and counterexample. */
let kit: Kit;
let account: TestAccount;
let token: string;
beforeAll(async () => {
  kit = await startKit({ FUSELINK_UPLOADS_PER_MINUTE: '1000000' });
  account = await kit.account();
  token = (await account.signIn()).token;
});
afterAll(() => kit.stop());

const RUNS = { numRuns: 150 };

/** Lone surrogates become U+FFFD, as they do on their way through UTF-8. */
const wellFormed = (text: string) => Buffer.from(text, 'utf8').toString('utf8');

/** Text that may stand in a header: what HTTP allows, latin1 included. */
const headerText = fc.stringMatching(/^[\x20-\x7e\x80-\xff]{0,80}$/).map((text) => text.trim());

const jsonish = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
  fc.dictionary(
    fc.constantFrom(
      'where',
      'orderBy',
      'first',
      'skip',
      'name',
      'role',
      'email',
      'api_key',
      'totp',
      'code',
      'type',
      '__proto__',
    ),
    fc.jsonValue({ maxDepth: 3 }),
  ),
);

describe('bad input, fuzzed', () => {
  test('authorization, X-API-Key and Cookie: any text → 400 or 401, never more', async () => {
    await fc.assert(
      fc.asyncProperty(headerText, headerText, headerText, async (auth, apiKey, cookie) => {
        const answer = await kit.call('GET', '/v1/keys', { auth, apiKey, cookie });
        expect([400, 401]).toContain(answer.status);
      }),
      RUNS,
    );
  });

  test('multipart: any field and file names, any boundary → an answer below 500', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.stringMatching(/^[A-Za-z0-9'()+_,./:=? -]{1,60}$/).map((text) => `${text.trim()}x`),
        fc.array(
          fc.record({
            name: fc.string({ unit: 'binary', maxLength: 40 }),
            filename: fc.option(fc.string({ unit: 'grapheme', maxLength: 300 })),
            value: fc.string({ maxLength: 50 }),
          }),
          { maxLength: 4 },
        ),
        fc.boolean(),
        async (boundary, parts, whole) => {
          const lines = parts.map(({ name, filename, value }) => {
            const file = filename === null ? '' : `; filename="${filename.replace(/[\r\n"]/g, ' ')}"`;
            return `--${boundary}\r\ncontent-disposition: form-data; name="${name.replace(/[\r\n"]/g, ' ')}"${file}\r\n\r\n${value}\r\n`;
          });
          const body = lines.join('') + (whole ? `--${boundary}--\r\n` : '');
          const answer = await kit.call('POST', '/v1/upload', {
            auth: account.apiKey,
            body,
            headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
          });
          expect(answer.status).toBeLessThan(500);
        },
      ),
      RUNS,
    );
  });

  test('upload headers: any text in any of them → an answer below 500', async () => {
    const names = [
      'x-filename',
      'x-recipient',
      'x-ttl',
      'x-note',
      'x-burn',
      'x-attempts-max',
      'x-lease-seconds',
      'idempotency-key',
      'repr-digest',
      'content-type',
      'content-encoding',
      'upload-metadata',
    ];
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom(...names), headerText), async (headers) => {
        const answer = await kit.call('POST', '/v1/upload', { auth: account.apiKey, body: 'x', headers });
        expect(answer.status).toBeLessThan(500);
      }),
      RUNS,
    );
  });

  test('tus metadata: any header → parsed or refused, and what the encoder makes is read back', () => {
    const value = fc.string({ unit: 'grapheme', maxLength: 60 });
    fc.assert(
      fc.property(fc.oneof(headerText, fc.string({ unit: 'binary' })), (header) => {
        const parsed = parseTusMetadata(header);
        if (!parsed.ok) expect(parsed.detail.length).toBeGreaterThan(10);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(value, value, (filename, note) => {
        const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
        const parsed = parseTusMetadata(`filename ${base64(filename)},note ${base64(note)},other`);
        expect(parsed).toMatchObject({ ok: true, fields: { filename, note } });
      }),
    );
  });

  test('cursors: any text → refused; ours → what they were made of; in every list → never 500', async () => {
    const pagings = ROUTES.filter(({ operation }) => JSON.stringify(operation.parameters ?? []).includes('"cursor"'));
    expect(pagings.length).toBeGreaterThan(8);
    const lists = pagings.map((route) => samplePath(route, 'x'));
    fc.assert(
      fc.property(fc.nat(), fc.string(), (number, text) => {
        expect(decodeCursor(encodeCursor([number, wellFormed(text)]), ['number', 'string'])).toEqual([
          number,
          wellFormed(text),
        ]);
      }),
    );
    const cursor = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
      fc.tuple(fc.double(), fc.string()).map(([number, text]) => encodeCursor([number, text])),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...lists),
        cursor,
        fc.oneof(fc.string(), fc.integer().map(String)),
        async (path, at, limit) => {
          const query = new URLSearchParams({ cursor: wellFormed(at), limit: wellFormed(limit) });
          const answer = await kit.call('GET', `${path}?${query}`, { auth: account.apiKey });
          // 404: a list of what something nobody has consists of.
          expect([200, 400, 404]).toContain(answer.status);
        },
      ),
      RUNS,
    );
  });

  test('graphql: any query, any variables → an answer below 500', async () => {
    const word = fc.constantFrom(
      'query',
      'mutation',
      '{',
      '}',
      '(',
      ')',
      '...',
      'on',
      'ApiKey',
      'apiKeys',
      'createApiKey',
      'deleteApiKey',
      'where',
      ':',
      '$key',
      'key',
      'id',
      '"',
      '"""',
      '#',
      '@skip(if: true)',
      '!',
      '[',
      ']',
      '1e999',
      'null',
    );
    const query = fc.oneof(
      fc.array(word, { maxLength: 40 }).map((words) => words.join(' ')),
      fc.constant('mutation($key: String!) { deleteApiKey(where: { key: $key }) { id } }'),
      fc.constant('query($w: ApiKeyWhereInput, $s: Int) { apiKeys(where: $w, skip: $s, first: $s) { id } }'),
      fc.jsonValue(),
    );
    const variables = fc.oneof(
      fc.jsonValue(),
      fc.record({ key: fc.jsonValue(), w: fc.jsonValue(), s: fc.oneof(fc.integer(), fc.double()) }),
    );
    await fc.assert(
      fc.asyncProperty(query, variables, async (query, variables) => {
        const answer = await kit.call('POST', '/api', { auth: token, json: { query, variables } });
        expect(answer.status).toBeLessThan(500);
        expect(answer.text).not.toContain('Something went wrong');
      }),
      { numRuns: 300 },
    );
  });

  test('json: any value to every call that takes one → an answer below 500', async () => {
    const calls = fc.constantFrom(...ROUTES.filter(({ body }) => body === 'json'));
    await fc.assert(
      fc.asyncProperty(calls, jsonish, async (route, json) => {
        const answer = await kit.call(route.method, samplePath(route, '7'), {
          ...(route.auth === 'key' ? { auth: token } : {}),
          body: JSON.stringify(json),
          headers: { 'content-type': 'application/json' },
        });
        expect(answer.status).toBeLessThan(500);
      }),
      { numRuns: 400 },
    );
  });

  test('paths: any text for an id → 400 or 404, never 500', async () => {
    const named = ROUTES.filter(
      ({ path, body, method }) => path.includes(':') && body === 'none' && method !== 'OPTIONS',
    );
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...named), text, async (route, id) => {
        const answer = await kit.call(route.method, samplePath(route, wellFormed(id)), { auth: token });
        // The dashboard's pages are one document, whatever they are asked for.
        if (route.auth !== 'none') expect(answer.status, route.path).toBeGreaterThanOrEqual(400);
        expect(answer.status).toBeLessThan(500);
      }),
      RUNS,
    );
  });
});
