import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSealer, nodeCrypto, nodeRandom } from '#sdk/seal/node';
import { startTestServer, type TestServer } from '../../../test/support/test-server.ts';
import { changeAccount } from '../account/settings.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const require = (requireSealed: boolean) => changeAccount(server.deps, server.operator, { requireSealed });

function sealedBytes(contentBytes: number): Buffer {
  const sealer = createSealer({ crypto: nodeCrypto, random: nodeRandom }, { to: { kind: 'link' } });
  return Buffer.concat([...sealer.push(new Uint8Array(contentBytes)), ...sealer.finish()]);
}

const auth = () => ({ authorization: `Bearer ${server.accountKey}` });

async function codeOf(answer: Response): Promise<string> {
  return ((await answer.json()) as { code: string }).code;
}

/** Each path an upload can take, as one call: status, error code, and whether the receipt says sealed. */
const PATHS: Record<string, (body: Buffer) => Promise<Response>> = {
  raw: (body) => fetch(`${server.url}/v1/upload`, { method: 'POST', headers: auth(), body }),
  put: (body) => fetch(`${server.url}/v1/upload/x.bin`, { method: 'PUT', headers: auth(), body }),
  async multipart(body) {
    const form = new FormData();
    form.set('file', new Blob([body]), 'x.bin');
    return fetch(`${server.url}/v1/upload`, { method: 'POST', headers: auth(), body: form });
  },
  'resumable, one chunk': (body) => tus(body, [body.length]),
  'resumable, byte by byte at first': (body) => tus(body, [...Array<number>(10).fill(1), body.length]),
};

async function tus(body: Buffer, pieces: number[]): Promise<Response> {
  const common = { ...auth(), 'tus-resumable': '1.0.0' };
  const created = await fetch(`${server.url}/v1/uploads`, {
    method: 'POST',
    headers: { ...common, 'upload-length': String(body.length), 'upload-metadata': `sealed ${btoa('true')}` },
  });
  let offset = 0;
  let last = created;
  for (const bytes of pieces) {
    const piece = body.subarray(offset, offset + bytes);
    if (piece.length === 0) break;
    last = await fetch(created.headers.get('location') ?? '', {
      method: 'PATCH',
      headers: { ...common, 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) },
      body: piece,
    });
    if (!last.ok) return last;
    offset += piece.length;
  }
  return last;
}

async function newestSealed(): Promise<boolean> {
  const answer = await fetch(`${server.url}/v1/transfers?state=ready&limit=1`, { headers: auth() });
  const { transfers } = (await answer.json()) as { transfers: { sealed: boolean; state: string }[] };
  return transfers[0]?.sealed === true;
}

describe('require_sealed', () => {
  const sizes = [
    ['small', 1000],
    ['large', 300_000],
  ] as const;
  const cases = Object.keys(PATHS).flatMap((path) => sizes.map(([name, bytes]) => [path, name, bytes] as const));

  test.each(cases)(
    '%s, %s: without the policy → the receipt says sealed by the first bytes alone',
    async (path, _, bytes) => {
      await require(false);
      expect((await PATHS[path]?.(sealedBytes(bytes)))?.ok).toBe(true);
      expect(await newestSealed()).toBe(true);
      expect((await PATHS[path]?.(Buffer.alloc(bytes, 7)))?.ok).toBe(true);
      expect(await newestSealed()).toBe(false);
    },
  );

  test.each(cases)(
    '%s, %s: with the policy → unsealed is 422 and leaves nothing to read, sealed passes',
    async (path, _, bytes) => {
      await require(true);
      const refused = (await PATHS[path]?.(Buffer.alloc(bytes, 7))) as Response;
      expect([refused.status, await codeOf(refused)]).toEqual([422, 'unsealed_refused']);
      expect((await PATHS[path]?.(sealedBytes(bytes)))?.ok).toBe(true);
      expect(await newestSealed()).toBe(true);
    },
  );

  test('a file of nothing, or of seven right bytes → refused under the policy', async () => {
    await require(true);
    for (const body of [Buffer.alloc(0), sealedBytes(10).subarray(0, 7)]) {
      const refused = (await PATHS['raw']?.(body)) as Response;
      expect([refused.status, await codeOf(refused)]).toEqual([422, 'unsealed_refused']);
      const resumable = await tus(body, [body.length]);
      expect(resumable.status).toBe(422);
    }
  });

  test('an upload begun before the policy and finished after it → refused', async () => {
    await require(false);
    const body = Buffer.alloc(200_000, 7);
    const headers = { ...auth(), 'tus-resumable': '1.0.0' };
    const created = await fetch(`${server.url}/v1/uploads`, {
      method: 'POST',
      headers: { ...headers, 'upload-length': String(body.length) },
    });
    const patch = (from: number, to: number) =>
      fetch(created.headers.get('location') ?? '', {
        method: 'PATCH',
        headers: { ...headers, 'content-type': 'application/offset+octet-stream', 'upload-offset': String(from) },
        body: body.subarray(from, to),
      });
    expect((await patch(0, 100_000)).status).toBe(204);
    await require(true);
    expect((await patch(100_000, 200_000)).status).toBe(422);
  });

  test('refused one-shot uploads → nothing half-done stays behind', async () => {
    await require(true);
    const { rows } = await server.deps.store.count('transfers', { where: [] });
    for (const bytes of [10, 70_000, 2_000_000]) await (await PATHS['raw']?.(Buffer.alloc(bytes, 7)))?.text();
    expect((await server.deps.store.count('transfers', { where: [] })).rows).toBe(rows);
  });
});
