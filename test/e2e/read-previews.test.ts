import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BROWSERS, CLIENTS, PREVIEWS, type Reader } from '../../server/domain/reading/readers.testkit.ts';
import { exchange, type ReadServer, startReadServer } from './read-kit.ts';

let server: ReadServer;
beforeAll(async () => {
  server = await startReadServer();
});
afterAll(() => server.close());

const headersOf = ({ userAgent, accept, purpose }: Reader) => ({
  ...(userAgent === undefined ? {} : { 'user-agent': userAgent }),
  ...(accept === undefined ? {} : { accept }),
  ...(purpose === undefined ? {} : { 'sec-purpose': purpose }),
});

describe('GET of a link', () => {
  it.each(CLIENTS)('$name → the bytes, and burned', async (client) => {
    const { url, id, bytes } = await server.upload(1_000);
    const answer = await exchange(url, { headers: headersOf(client) });
    expect(answer.status).toBe(200);
    expect(Buffer.compare(answer.body, bytes)).toBe(0);
    await server.reaches(id, 'burned');
  });

  it.each([...PREVIEWS, ...BROWSERS])(
    '$name, three times, HEAD as well → a page, and nothing has changed',
    async (reader) => {
      const { url, id } = await server.upload(1_000, { note: 'for you' });
      const before = await server.deps.store.get('transfers', { id: id as never });
      for (let i = 0; i < 3; i++) {
        const answer = await exchange(url, { headers: headersOf(reader) });
        expect(answer.status).toBe(200);
        expect(answer.headers['content-type']).toBe('text/html; charset=utf-8');
        expect(answer.body.toString()).toContain('Download once');
        expect((await exchange(url, { method: 'HEAD', headers: headersOf(reader) })).status).toBe(200);
      }
      expect(await server.deps.store.get('transfers', { id: id as never })).toEqual(before);
    },
  );

  it('require_claim: a download tool → told how to claim; not a byte, nothing changed', async () => {
    const { url, id } = await server.upload(1_000, { require_claim: 'true' });
    const before = await server.deps.store.get('transfers', { id: id as never });
    const answer = await exchange(url, { headers: { 'user-agent': 'curl/8' } });
    expect(answer.status).toBe(428);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'claim_required' });
    expect(await server.deps.store.get('transfers', { id: id as never })).toEqual(before);
  });
});

describe('HEAD of a link', () => {
  it('size, name, digest, expiry → told as GET would, and nothing changed', async () => {
    const { url, id, bytes, sha256, expires_at } = await server.upload(1_000, { filename: 'größe "1".csv' });
    const before = await server.deps.store.get('transfers', { id: id as never });
    const { status, headers } = await exchange(url, { method: 'HEAD' });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-length': '1000',
      'accept-ranges': 'bytes',
      'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
      'content-disposition': `attachment; filename="gr__e _1_.csv"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%221%22.csv`,
      expires: new Date(expires_at).toUTCString(),
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    });
    expect(await server.deps.store.get('transfers', { id: id as never })).toEqual(before);
    const got = await exchange(url, {});
    expect(Buffer.compare(got.body, bytes)).toBe(0);
    for (const name of ['repr-digest', 'etag', 'content-disposition', 'content-type', 'content-length']) {
      expect(got.headers[name]).toBe(headers[name]);
    }
    await server.reaches(id, 'burned');
    expect((await exchange(url, { method: 'HEAD' })).status).toBe(410);
  });

  it('while it is read, and of no link → 200, 404', async () => {
    const { url } = await server.upload(1_000);
    await exchange(server.url, { method: 'POST', path: `${new URL(url).pathname}/claim` });
    expect((await exchange(url, { method: 'HEAD' })).status).toBe(200);
    expect((await exchange(server.url, { method: 'HEAD', path: '/get/unknown' })).status).toBe(404);
  });
});
