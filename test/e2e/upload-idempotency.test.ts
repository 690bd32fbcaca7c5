import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeRandom } from '../../server/adapters/node/random.ts';
import { loadSecret, rotatedSecret, writeSecret } from '../../server/secret-file.ts';
import { type RawAnswer, RawConnection, rawExchange } from '../support/raw-http.ts';
import { expectStored, readLink } from '../support/read-back.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { expectNothingHalfDone, findStored } from '../support/stored-bytes.ts';
import { startTestServer, type TestKey, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
let device: TestKey;
let serial = 0;
/** 22 characters or more, never the same twice. */
const newKey = () => `idempotency-key-${String(++serial).padStart(8, '0')}`;
beforeAll(async () => {
  server = await startTestServer();
  device = await server.device();
});
afterAll(() => server.close());

const POST = 'POST /v1/upload HTTP/1.1';
function send(key: string, idempotencyKey: string, body: Uint8Array, ...more: string[]): Promise<RawAnswer> {
  const fields = [
    'Host: x',
    `X-API-Key: ${key}`,
    `Idempotency-Key: ${idempotencyKey}`,
    `Content-Length: ${body.length}`,
  ];
  return rawExchange(server.port, { head: POST, fields: [...fields, ...more], body });
}
const transfers = async () => (await server.deps.store.count('transfers', { where: [] })).rows;

describe.each([
  ['small', 1_000],
  ['large', 300_000],
] as const)('Idempotency-Key, %s bodies', (_name, size) => {
  const body = seededBytes(size, size);

  it('a retry → the same transfer and link, nothing counted twice; the link still reads', async () => {
    const k = newKey();
    const before = await transfers();
    const first = await send(device.key, k, body, 'X-Filename: a.bin');
    const again = await send(device.key, k, body, 'X-Filename: a.bin');
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.json()).toEqual(first.json());
    expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([undefined, 'true']);
    expect(again.headers['ratelimit']?.split(';')[1]).toBe(first.headers['ratelimit']?.split(';')[1]);
    expect(await transfers()).toBe(before + 1);
    await expectStored(server, again.json(), { content: body });
  });

  it('twenty at once → one transfer, one link for all', async () => {
    const k = newKey();
    const before = await transfers();
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(device.key, k, body)));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]));
    expect(new Set(answers.map((answer) => answer.json()['url'])).size).toBe(1);
    expect(answers.filter((answer) => answer.headers['idempotency-replayed'] === undefined)).toHaveLength(1);
    await expectNothingHalfDone(server.deps, before + 1);
  });

  it('the first one hangs in the middle → the retry does not wait for it, and the late one gets the same link', async () => {
    const k = newKey();
    const before = await transfers();
    const hanging = await RawConnection.open(server.port);
    await hanging.head(POST, [
      'Host: x',
      `X-API-Key: ${device.key}`,
      `Idempotency-Key: ${k}`,
      `Content-Length: ${size}`,
    ]);
    await hanging.send(body.subarray(0, size - 1));
    await until('the first to be under way', () => server.deps.active.total === 1);
    const retry = await send(device.key, k, body);
    expect(retry.status).toBe(201);
    await hanging.send(body.subarray(size - 1));
    const late = await hanging.answer();
    expect([late.status, late.headers['idempotency-replayed'], late.json()]).toEqual([201, 'true', retry.json()]);
    hanging.close();
    await expectNothingHalfDone(server.deps, before + 1);
  });

  it('another body → 422, of another size before it is read; at once in a race, too; the first stays', async () => {
    const k = newKey();
    const before = await transfers();
    const other = seededBytes(size, 99);
    const race = await Promise.all([send(device.key, k, body), send(device.key, k, other)]);
    expect(race.map((answer) => answer.status).sort()).toEqual([201, 422]);
    const winner = race[0].status === 201 ? body : other;
    const longer = await rawExchange(server.port, {
      head: POST,
      fields: [
        'Host: x',
        `X-API-Key: ${device.key}`,
        `Idempotency-Key: ${k}`,
        `Content-Length: ${size + 1}`,
        'Expect: 100-continue',
      ],
    });
    expect([longer.status, longer.json()['code'], longer.interim]).toEqual([422, 'idempotency_mismatch', []]);
    const chunks = Buffer.concat([Buffer.from(`${(1).toString(16)}\r\nx\r\n0\r\n\r\n`)]);
    const shorter = await rawExchange(server.port, {
      head: POST,
      fields: ['Host: x', `X-API-Key: ${device.key}`, `Idempotency-Key: ${k}`, 'Transfer-Encoding: chunked'],
      body: chunks,
    });
    expect(shorter.status).toBe(422);
    expect((await send(device.key, k, winner)).status).toBe(201);
    await expectNothingHalfDone(server.deps, before + 1);
  });

  it('another device of the account, another key of the account, another account’s k → a transfer of its own', async () => {
    const k = newKey();
    const other = await server.device();
    const urls = new Set<string>();
    for (const key of [device.key, other.key, server.accountKey]) {
      const answer = await send(key, k, body);
      expect([answer.status, answer.headers['idempotency-replayed']]).toEqual([201, undefined]);
      urls.add(String(answer.json()['url']));
    }
    expect(urls.size).toBe(3);
  });

  it('the device’s next key, and a revoked old one → the same link', async () => {
    const k = newKey();
    const rotating = await server.device();
    const first = await send(rotating.key, k, body);
    const next = await server.nextKey(rotating.deviceId ?? '');
    await server.revoke(rotating.id);
    const again = await send(next.key, k, body);
    expect([again.headers['idempotency-replayed'], again.json()]).toEqual(['true', first.json()]);
  });

  it('after the burn → 200 with the receipt and no link, and no other transfer', async () => {
    const k = newKey();
    const first = await send(device.key, k, body, 'X-Filename: read.bin');
    const before = await transfers();
    await readLink(server, String(first.json()['url']));
    await until(
      'burned',
      async () => (await server.deps.store.get('transfers', { id: first.json()['id'] }))?.state === 'burned',
    );
    const again = await send(device.key, k, body);
    expect([again.status, again.headers['idempotency-replayed']]).toEqual([200, 'true']);
    expect(again.json()).toMatchObject({ id: first.json()['id'], url: null, state: 'burned', filename: 'read.bin' });
    expect((await send(device.key, k, seededBytes(size, 5))).status).toBe(422);
    expect(await transfers()).toBe(before);
  });

  it('a restart, and a rotation of the secret, in between → the same link, which still reads; k is nowhere', async () => {
    const k = newKey();
    const first = await send(device.key, k, body);
    server = await server.restart();
    expect((await send(device.key, k, body)).json()).toEqual(first.json());
    const file = `${server.dataFolder}.secret`;
    const { keys } = loadSecret({ file, inline: null, dataExists: true, random: nodeRandom });
    writeSecret(file, rotatedSecret(keys, nodeRandom));
    server = await server.restart();
    expect((await send(device.key, k, body)).json()).toEqual(first.json());
    expect(await findStored(server.dataFolder, { k })).toEqual([]);
    await expectStored(server, first.json(), { content: body });
  });
});

describe('Idempotency-Key across the two ways to upload', () => {
  const tus = (
    key: string,
    k: string,
    method: string,
    path: string,
    fields: string[],
    body: string | Uint8Array = '',
  ) =>
    rawExchange(server.port, {
      head: `${method} ${path} HTTP/1.1`,
      fields: [
        'Host: x',
        `X-API-Key: ${key}`,
        'Tus-Resumable: 1.0.0',
        `Idempotency-Key: ${k}`,
        `Content-Length: ${body.length}`,
        ...fields,
      ],
      body,
    });
  const CHUNK = 'Content-Type: application/offset+octet-stream';

  it('a resumable upload begun twice → the same Location, offset and all; twins at once too', async () => {
    const k = newKey();
    const before = await transfers();
    const twins = await Promise.all(
      Array.from({ length: 5 }, () => tus(device.key, k, 'POST', '/v1/uploads', ['Upload-Length: 10'])),
    );
    const locations = new Set(twins.map((answer) => answer.headers['location']));
    expect(locations.size).toBe(1);
    const path = new URL([...locations][0] ?? '').pathname;
    await tus(device.key, k, 'PATCH', path, [CHUNK, 'Upload-Offset: 0'], 'hello');
    const again = await tus(device.key, k, 'POST', '/v1/uploads', ['Upload-Length: 10']);
    expect([again.status, again.headers['location'], again.headers['upload-offset']]).toEqual([
      201,
      [...locations][0],
      '5',
    ]);
    const whole = await tus(device.key, k, 'PATCH', path, [CHUNK, 'Upload-Offset: 5'], 'world');
    const after = await tus(device.key, k, 'POST', '/v1/uploads', ['Upload-Length: 10']);
    expect(after.headers['fuselink-url']).toBe(whole.headers['fuselink-url']);
    expect(await transfers()).toBe(before + 1);
    expect((await tus(device.key, k, 'POST', '/v1/uploads', ['Upload-Length: 11'])).status).toBe(422);
  });

  it('one request under a key that a resumable upload holds → 422, and the unfinished upload is not harmed', async () => {
    const k = newKey();
    const created = await tus(device.key, k, 'POST', '/v1/uploads', ['Upload-Length: 10']);
    const path = new URL(created.headers['location'] ?? '').pathname;
    await tus(device.key, k, 'PATCH', path, [CHUNK, 'Upload-Offset: 0'], 'hello');
    expect((await send(device.key, k, Buffer.from('helloworld'))).status).toBe(422);
    expect((await tus(device.key, k, 'HEAD', path, [])).headers['upload-offset']).toBe('5');
    await tus(device.key, k, 'DELETE', path, []);
  });

  it('a key whose upload was given up and swept away → free again', async () => {
    const k = newKey();
    const first = await tus(device.key, k, 'POST', '/v1/uploads', ['Upload-Length: 10']);
    const path = new URL(first.headers['location'] ?? '').pathname;
    expect((await tus(device.key, k, 'DELETE', path, [])).status).toBe(204);
    const again = await tus(device.key, k, 'POST', '/v1/uploads', ['Upload-Length: 12']);
    expect([again.status, again.headers['location'] === first.headers['location']]).toEqual([201, false]);
  });

  it('a device key replaced while a creation is on its way (its row changed, not revoked) → accepted', async () => {
    const { deps } = server;
    const real = deps.store.commit.bind(deps.store);
    let raced = false;
    deps.store.commit = async (writes) => {
      if (!raced && writes.some((write) => write.kind === 'take')) {
        raced = true;
        const row = await deps.store.get('api_keys', { id: device.id });
        if (row === null) throw new Error('expected the key');
        await real([
          {
            kind: 'update',
            table: 'api_keys',
            row: { ...row, name: 'renamed', version: row.version + 1 },
            expectVersion: row.version,
          },
        ]);
      }
      return real(writes);
    };
    try {
      expect((await tus(device.key, newKey(), 'POST', '/v1/uploads', ['Upload-Length: 10'])).status).toBe(201);
      raced = false;
      expect((await send(device.key, newKey(), Buffer.from('x'))).status).toBe(201);
    } finally {
      deps.store.commit = real;
    }
  });
});
