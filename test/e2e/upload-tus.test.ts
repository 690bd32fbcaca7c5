import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { rawExchange } from '../support/raw-http.ts';
import { expectStored, readLink, sha256Hex } from '../support/read-back.ts';
import { seededBytes, seededChance } from '../support/seeded-bytes.ts';
import { shiftClock } from '../support/shifted-clock.ts';
import { allTransfers, halfDone } from '../support/stored-bytes.ts';
import { startTestServer, type TestKey, type TestServer } from '../support/test-server.ts';
import { checksumField, tusClient } from '../support/tus.ts';
import { until } from '../support/until.ts';

const MAX = 5_000_000;
let server: TestServer;
let device: TestKey;
let tus: ReturnType<typeof tusClient>;
beforeAll(async () => {
  server = await startTestServer({ FUSELINK_FILE_BYTES_MAX: String(MAX) });
  device = await server.device();
  tus = tusClient(server, device.key);
});
afterAll(() => server.close());
// Whatever a request was refused for: no bytes without a row, no place taken.
afterEach(() =>
  until(
    'nothing half-done but unfinished resumable uploads',
    async () => (await halfDone(server.deps, { resumable: true })).length === 0,
  ),
);

const CHUNK = 'Content-Type: application/offset+octet-stream';
const b64 = (text: string) => Buffer.from(text).toString('base64');

describe('tus 1.0: what is spoken', () => {
  it('OPTIONS, without a credential or version → versions, extensions, algorithms, the largest size', async () => {
    const answer = await rawExchange(server.port, { head: 'OPTIONS /v1/uploads HTTP/1.1', fields: ['Host: x'] });
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      'tus-resumable': '1.0.0',
      'tus-version': '1.0.0',
      'tus-extension': 'creation,creation-with-upload,creation-defer-length,expiration,checksum,termination',
      'tus-checksum-algorithm': 'sha256,sha1,md5',
      'tus-max-size': String(MAX),
    });
  });

  it('another version, or none → 412 with ours, and nothing is done', async () => {
    const path = await tus.create(['Upload-Length: 5']);
    for (const version of [[], ['Tus-Resumable: 0.2.2']]) {
      for (const method of ['POST', 'PATCH', 'HEAD', 'DELETE']) {
        const answer = await rawExchange(server.port, {
          head: `${method} ${method === 'POST' ? '/v1/uploads' : path} HTTP/1.1`,
          fields: ['Host: x', `X-API-Key: ${device.key}`, 'Upload-Length: 5', 'Upload-Offset: 0', CHUNK, ...version],
        });
        expect([method, answer.status, answer.headers['tus-version']]).toEqual([method, 412, '1.0.0']);
      }
    }
    expect(await tus.offset(path)).toBe(0);
  });

  it('a plain GET at an upload → 404 or 405 and the server goes on', async () => {
    const path = await tus.create(['Upload-Length: 5']);
    const answer = await rawExchange(server.port, { head: `GET ${path} HTTP/1.1`, fields: ['Host: x'] });
    expect(answer.status).toBe(405);
    expect(await tus.offset(path)).toBe(0);
  });
});

describe('tus 1.0: creation', () => {
  it('length and metadata → Location, expiry; metadata becomes the file’s name, type, recipient', async () => {
    const metadata = `filename ${b64('größe "1".csv')},filetype ${b64('text/csv')},recipient ${b64('a@b.example')},ttl ${b64('600')},relativePath ${b64('x/y')},empty`;
    const answer = await tus.request('POST', '/v1/uploads', ['Upload-Length: 3', `Upload-Metadata: ${metadata}`], '');
    expect(answer.status).toBe(201);
    expect(answer.headers).toMatchObject({ 'tus-resumable': '1.0.0', 'upload-offset': '0', 'content-length': '0' });
    expect(Date.parse(answer.headers['upload-expires'] ?? '')).toBeGreaterThan(Date.now());
    const path = new URL(answer.headers['location'] ?? '').pathname;
    const done = await tus.patch(path, 0, 'abc');
    expect(done.headers['repr-digest']).toBe(`sha-256=:${Buffer.from(sha256Hex('abc'), 'hex').toString('base64')}:`);
    const url = done.headers['fuselink-url'] ?? '';
    await expectStored(
      server,
      { url, size: 3, sha256: sha256Hex('abc') },
      { content: Buffer.from('abc'), name: 'größe "1".csv' },
    );
    const receipt = await tus.request('GET', `/v1/transfers/${done.headers['fuselink-id']}`);
    expect(receipt.json()).toMatchObject({ recipient: 'a@b.example', content_type: 'text/csv', size: 3 });
  });

  it('the same by X- headers → kept; metadata wins', async () => {
    const path = await tus.create([
      'Upload-Length: 0',
      'X-Filename: by-header.bin',
      'X-Recipient: a@b.example',
      `Upload-Metadata: filename ${b64('by-metadata.bin')}`,
    ]);
    const id = (await tus.head(path)).headers['fuselink-id'];
    expect((await tus.request('GET', `/v1/transfers/${id}`)).json()).toMatchObject({
      filename: 'by-metadata.bin',
      recipient: 'a@b.example',
    });
  });

  it('an empty file → whole at creation', async () => {
    const answer = await tus.request('POST', '/v1/uploads', ['Upload-Length: 0'], '');
    expect(answer.headers['fuselink-url']).toMatch(/\/get\//);
    expect((await readLink(server, answer.headers['fuselink-url'] ?? '')).bytes).toHaveLength(0);
  });

  it('with the upload, whole, part, and with a 100 → offset, link', async () => {
    const whole = await tus.request(
      'POST',
      '/v1/uploads',
      ['Upload-Length: 5', CHUNK, 'Expect: 100-continue'],
      'hello',
    );
    expect([whole.status, whole.headers['upload-offset'], whole.interim]).toEqual([201, '5', [100]]);
    await expectStored(
      server,
      { url: whole.headers['fuselink-url'], size: 5, sha256: sha256Hex('hello') },
      { content: Buffer.from('hello') },
    );
    const part = await tus.request('POST', '/v1/uploads', ['Upload-Length: 9', CHUNK], 'hello');
    expect([part.status, part.headers['upload-offset'], part.headers['fuselink-url']]).toEqual([201, '5', undefined]);
    const broken = await tus.request('POST', '/v1/uploads', ['Upload-Length: 4', CHUNK], 'hello');
    expect(broken.status).toBe(413);
  });

  const wrong: [name: string, fields: string[], status: number, code: string][] = [
    ['neither length nor deferred', [], 400, 'invalid_field'],
    ['both', ['Upload-Length: 5', 'Upload-Defer-Length: 1'], 400, 'invalid_field'],
    ['deferred, but not 1', ['Upload-Defer-Length: 2'], 400, 'invalid_field'],
    ['a length that is none', ['Upload-Length: five'], 400, 'invalid_field'],
    ['a negative length', ['Upload-Length: -1'], 400, 'invalid_field'],
    ['too long', [`Upload-Length: ${MAX + 1}`], 413, 'payload_too_large'],
    [
      'metadata with a key twice',
      ['Upload-Length: 5', `Upload-Metadata: a ${b64('x')},a ${b64('y')}`],
      400,
      'tus_metadata_invalid',
    ],
    ['metadata that is no base64', ['Upload-Length: 5', 'Upload-Metadata: filename %%%'], 400, 'tus_metadata_invalid'],
    ['a name with a path', ['Upload-Length: 5', `Upload-Metadata: filename ${b64('../x')}`], 400, 'invalid_field'],
    ['a ttl out of range', ['Upload-Length: 5', `Upload-Metadata: ttl ${b64('1')}`], 400, 'invalid_field'],
  ];
  it.each(wrong)('%s → refused, no row', async (_name, fields, status, code) => {
    const before = (await allTransfers(server.deps)).length;
    const answer = await tus.request('POST', '/v1/uploads', fields, '');
    expect([answer.status, answer.json()['code'], answer.headers['tus-resumable']]).toEqual([status, code, '1.0.0']);
    expect((await allTransfers(server.deps)).length).toBe(before);
  });
});

describe('tus 1.0: going on', () => {
  it('any cut of chunks, 1 byte and more, over segment borders, by several connections → the same bytes', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const chance = seededChance(seed);
      const content = seededBytes([70, 300, 65_536, 65_537, 131_072, 200_000][seed % 6] ?? 0, seed);
      const path = await tus.create([seed % 2 === 0 ? `Upload-Length: ${content.length}` : 'Upload-Defer-Length: 1']);
      let offset = 0;
      let last = '';
      while (offset < content.length) {
        const small = content.length <= 300 || chance.next(4) === 0;
        const size = 1 + chance.next(small ? 3 : 70_000);
        const chunk = content.subarray(offset, offset + size);
        const fields = [];
        if (chance.next(3) === 0) fields.push(checksumField('sha256', chunk));
        if (seed % 2 === 1 && offset + size >= content.length) fields.push(`Upload-Length: ${content.length}`);
        const answer = await tus.patch(path, offset, chunk, fields);
        offset += chunk.length;
        expect([seed, answer.status, answer.headers['upload-offset']]).toEqual([seed, 204, String(offset)]);
        last = answer.headers['fuselink-url'] ?? '';
      }
      expect(Buffer.compare((await readLink(server, last)).bytes, content), `seed ${seed}`).toBe(0);
    }
  });

  it('a wrong offset → 409 with the right one; a wrong type → 415; none → 400; beyond the length → 413, nothing lost', async () => {
    const path = await tus.create(['Upload-Length: 10']);
    await tus.patch(path, 0, 'hello');
    const conflict = await tus.patch(path, 3, 'x');
    expect([conflict.status, conflict.headers['upload-offset']]).toEqual([409, '5']);
    expect((await tus.request('PATCH', path, ['Content-Type: text/plain', 'Upload-Offset: 5'], 'x')).status).toBe(415);
    expect((await tus.request('PATCH', path, [CHUNK], 'x')).status).toBe(400);
    expect((await tus.request('PATCH', path, [CHUNK, 'Upload-Offset: five'], 'x')).status).toBe(400);
    expect((await tus.patch(path, 5, 'too long')).status).toBe(413);
    const chunked = await rawExchange(server.port, {
      head: `PATCH ${path} HTTP/1.1`,
      fields: [
        'Host: x',
        `X-API-Key: ${device.key}`,
        'Tus-Resumable: 1.0.0',
        CHUNK,
        'Upload-Offset: 5',
        'Transfer-Encoding: chunked',
      ],
      body: '8\r\ntoo long\r\n0\r\n\r\n',
    });
    expect(chunked.status).toBe(413);
    expect(await tus.offset(path)).toBe(5);
    expect((await tus.patch(path, 5, 'world')).status).toBe(204);
  });

  it('deferred length: told once, changed → 400, smaller than what is there → 400, equal to it → whole', async () => {
    const path = await tus.create(['Upload-Defer-Length: 1']);
    expect((await tus.head(path)).headers['upload-defer-length']).toBe('1');
    await tus.patch(path, 0, 'hello');
    expect((await tus.patch(path, 5, '', ['Upload-Length: 4'])).status).toBe(400);
    expect((await tus.patch(path, 5, '', ['Upload-Length: 7'])).status).toBe(204);
    expect((await tus.head(path)).headers['upload-length']).toBe('7');
    expect((await tus.patch(path, 5, 'xy', ['Upload-Length: 8'])).status).toBe(400);
    expect((await tus.patch(path, 5, 'xy')).headers['fuselink-url']).toMatch(/get/);
    const other = await tus.create(['Upload-Defer-Length: 1']);
    await tus.patch(other, 0, 'hello');
    const done = await tus.patch(other, 5, '', ['Upload-Length: 5']);
    expect((await readLink(server, done.headers['fuselink-url'] ?? '')).bytes.toString()).toBe('hello');
    const endless = await tus.create(['Upload-Defer-Length: 1']);
    expect((await tus.patch(endless, 0, '', [`Upload-Length: ${MAX + 1}`])).status).toBe(413);
    expect((await tus.patch(endless, 0, seededBytes(MAX + 1))).status).toBe(413);
    await tus.request('DELETE', endless);
  });

  it.each(['sha256', 'sha1', 'md5'] as const)(
    'checksum %s: right → kept; wrong → 460 and nothing of a chunk of any size',
    async (algorithm) => {
      const content = seededBytes(400_000, 4);
      const path = await tus.create([`Upload-Length: ${content.length}`]);
      await tus.patch(path, 0, content.subarray(0, 100_000), [checksumField(algorithm, content.subarray(0, 100_000))]);
      for (const size of [1, 300_000]) {
        const wrong = seededBytes(size, 66);
        const answer = await tus.patch(path, 100_000, wrong, [checksumField(algorithm, 'other')]);
        expect([answer.status, answer.json()['code']]).toEqual([460, 'tus_checksum_mismatch']);
        expect(await tus.offset(path)).toBe(100_000);
      }
      const rest = content.subarray(100_000);
      const done = await tus.patch(path, 100_000, rest, [checksumField(algorithm, rest)]);
      expect(Buffer.compare((await readLink(server, done.headers['fuselink-url'] ?? '')).bytes, content)).toBe(0);
    },
  );

  it('a checksum of an algorithm we do not have, or of no form → 400', async () => {
    const path = await tus.create(['Upload-Length: 5']);
    for (const field of ['Upload-Checksum: crc32 AAAA', 'Upload-Checksum: sha256']) {
      const answer = await tus.patch(path, 0, 'hello', [field]);
      expect([answer.status, answer.json()['code']]).toEqual([400, 'tus_checksum_unsupported']);
    }
  });

  it('a chunk with a checksum that is cut → nothing of it is kept; without one all that came', async () => {
    const content = seededBytes(200_000, 8);
    const path = await tus.create([`Upload-Length: ${content.length}`]);
    const first = await tus.beginPatch(path, 0, 200_000, content.subarray(0, 150_000));
    await until('under way', () => server.deps.active.total === 1);
    first.reset();
    await until('over', () => server.deps.active.total === 0);
    const kept = await tus.offset(path);
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThanOrEqual(150_000);
    const done = await tus.patch(path, kept, content.subarray(kept));
    expect(Buffer.compare((await readLink(server, done.headers['fuselink-url'] ?? '')).bytes, content)).toBe(0);
  });

  it('X-HTTP-Method-Override: PATCH and DELETE by POST → the same; another → 405', async () => {
    const path = await tus.create(['Upload-Length: 5']);
    const patched = await tus.request(
      'POST',
      path,
      ['X-HTTP-Method-Override: PATCH', CHUNK, 'Upload-Offset: 0'],
      'hel',
    );
    expect([patched.status, patched.headers['upload-offset']]).toEqual([204, '3']);
    expect((await tus.request('POST', path, ['X-HTTP-Method-Override: TRACE'], '')).status).toBe(405);
    expect((await tus.request('POST', path, ['X-HTTP-Method-Override: DELETE'], '')).status).toBe(204);
    expect((await tus.head(path)).status).toBe(404);
  });

  it('HEAD on a finished upload → its link, digest and expiry again; a PATCH at its end, too', async () => {
    const path = await tus.create(['Upload-Length: 5']);
    const done = await tus.patch(path, 0, 'hello');
    const head = await tus.head(path);
    for (const name of ['fuselink-url', 'fuselink-id', 'repr-digest', 'expires'])
      expect(head.headers[name]).toBe(done.headers[name]);
    expect((await tus.patch(path, 5, '')).headers['fuselink-url']).toBe(done.headers['fuselink-url']);
    await readLink(server, done.headers['fuselink-url'] ?? '');
    await until('burned', async () => (await tus.head(path)).status === 410);
  });
});

describe('tus 1.0: one request at a time, and a dead one is left at once', () => {
  const live = (path: string, sent = 100_000) =>
    tus.beginPatch(path, 0, 400_000, seededBytes(400_000, 9).subarray(0, sent));
  const content = seededBytes(400_000, 9);

  it.each(['HEAD', 'PATCH', 'DELETE'])(
    'a PATCH whose peer is silent, then %s → answered while the peer is still silent',
    async (method) => {
      const path = await tus.create(['Upload-Length: 400000']);
      const dead = await live(path);
      await until('under way', () => server.deps.active.total === 1);
      const answer = method === 'PATCH' ? await tus.patch(path, 999_999, 'x') : await tus.request(method, path, []);
      expect(answer.status).toBe(method === 'HEAD' ? 200 : method === 'PATCH' ? 409 : 204);
      // It was told to go, not found dead by the idle limit: nothing waited for the silent peer.
      const refused = await dead.answer();
      expect([refused.status, refused.json()['code']]).toEqual([409, 'upload_preempted']);
      if (method === 'DELETE') return;
      const offset = await tus.offset(path);
      expect(offset).toBe(100_000);
      const done = await tus.patch(path, offset, content.subarray(offset));
      expect(Buffer.compare((await readLink(server, done.headers['fuselink-url'] ?? '')).bytes, content)).toBe(0);
    },
  );

  it('a live PATCH and twenty HEADs at once → each HEAD the durable offset, all bytes in the end', async () => {
    const path = await tus.create(['Upload-Length: 400000']);
    const patch = await live(path);
    await until('under way', () => server.deps.active.total === 1);
    const offsets = await Promise.all(Array.from({ length: 20 }, () => tus.offset(path)));
    expect(new Set(offsets)).toEqual(new Set([100_000]));
    patch.close();
    expect((await tus.patch(path, 100_000, content.subarray(100_000))).status).toBe(204);
  });

  it('ten PATCHes at the same offset at once → the bytes of one request after another, never mixed', async () => {
    const path = await tus.create(['Upload-Length: 400000']);
    const answers = await Promise.all(Array.from({ length: 10 }, () => tus.patch(path, 0, content)));
    const statuses = answers.map((answer) => answer.status);
    expect(statuses.every((status) => status === 204 || status === 409)).toBe(true);
    let offset = await tus.offset(path);
    while (offset < content.length) {
      await tus.patch(path, offset, content.subarray(offset));
      offset = await tus.offset(path);
    }
    const link = (await tus.head(path)).headers['fuselink-url'] ?? '';
    expect(Buffer.compare((await readLink(server, link)).bytes, content)).toBe(0);
  });
});

describe('tus 1.0: whose upload it is, expiry, termination', () => {
  it('another device, an unknown secret, a misspelt one → 404 alike; the device’s next key → goes on', async () => {
    const path = await tus.create(['Upload-Length: 10']);
    await tus.patch(path, 0, 'hello');
    const stranger = tusClient(server, (await server.device()).key);
    const account = tusClient(server, server.accountKey);
    for (const client of [stranger, account]) {
      expect((await client.head(path)).status).toBe(404);
      expect((await client.patch(path, 5, 'world')).json()).toEqual(
        (await client.patch(`/v1/uploads/${'A'.repeat(43)}`, 5, 'x')).json(),
      );
      expect((await client.request('DELETE', path)).status).toBe(404);
    }
    expect((await tus.head('/v1/uploads/short')).status).toBe(404);
    const next = tusClient(server, (await server.nextKey(device.deviceId ?? '')).key);
    expect((await next.patch(path, 5, 'world')).headers['fuselink-url']).toMatch(/get/);
  });

  it('a key revoked in the middle of the last chunk → 401, and the device’s next key finishes it', async () => {
    const rotating = await server.device();
    const first = tusClient(server, rotating.key);
    const content = seededBytes(200_000, 5);
    const path = await first.create(['Upload-Length: 200000']);
    const connection = await first.beginPatch(path, 0, 200_000, content.subarray(0, 199_999));
    await until('under way', () => server.deps.active.total === 1);
    const next = tusClient(server, (await server.nextKey(rotating.deviceId ?? '')).key);
    await server.revoke(rotating.id);
    await connection.send(content.subarray(199_999));
    expect((await connection.answer()).json()).toMatchObject({ code: 'key_revoked' });
    connection.close();
    const offset = await next.offset(path);
    const done = await next.patch(path, offset, content.subarray(offset));
    expect(Buffer.compare((await readLink(server, done.headers['fuselink-url'] ?? '')).bytes, content)).toBe(0);
  });

  it('termination of an unfinished one → nothing left; of a finished one → burned, its receipt stays', async () => {
    const before = (await allTransfers(server.deps)).length;
    const path = await tus.create(['Upload-Length: 400000']);
    await tus.patch(path, 0, seededBytes(300_000));
    expect((await tus.request('DELETE', path)).status).toBe(204);
    expect((await tus.head(path)).status).toBe(404);
    expect((await allTransfers(server.deps)).length).toBe(before);
    const finished = await tus.create(['Upload-Length: 5']);
    const done = await tus.patch(finished, 0, 'hello');
    expect((await tus.request('DELETE', finished)).status).toBe(204);
    expect((await readLink(server, done.headers['fuselink-url'] ?? '')).status).toBe(410);
    expect((await tus.request('GET', `/v1/transfers/${done.headers['fuselink-id']}`)).json()['state']).toBe('revoked');
    expect((await tus.request('DELETE', finished)).status).toBe(410);
  });

  it('not finished in time → 410 at once, swept; a chunk in time moves the time on', async () => {
    const clock = shiftClock(server.deps);
    const { sweepOnce } = await import('../../server/usecases/sweep.ts');
    const path = await tus.create(['Upload-Length: 10']);
    const { resumableTtlMs } = server.deps.settings;
    clock.forward(resumableTtlMs - 1_000);
    expect((await tus.patch(path, 0, 'hello')).status).toBe(204);
    clock.forward(resumableTtlMs - 1_000);
    expect(await tus.offset(path)).toBe(5);
    clock.forward(1_001);
    expect((await tus.patch(path, 5, 'world')).status).toBe(410);
    await sweepOnce(server.deps, { atStart: false });
    expect((await tus.head(path)).status).toBe(410);
    clock.forward(-2 * resumableTtlMs);
  });
});
