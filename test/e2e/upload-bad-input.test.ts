import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RawConnection, rawExchange } from '../support/raw-http.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { expectNothingHalfDone } from '../support/stored-bytes.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const MAX = 300_000;
let server: TestServer;
let key: string;
beforeAll(async () => {
  server = await startTestServer({ FUSELINK_FILE_BYTES_MAX: String(MAX) });
  key = (await server.device()).key;
});
afterAll(() => server.close());
// Whatever was wrong with it: no row, no bytes, no place taken.
afterEach(() => expectNothingHalfDone(server.deps, 0));

const POST = 'POST /v1/upload HTTP/1.1';
const auth = () => ['Host: x', `X-API-Key: ${key}`];

interface Expected {
  status: number;
  code: string;
  detail?: RegExp;
  field?: string;
}

async function refused(
  request: { head?: string; fields: string[]; body?: string | Uint8Array },
  { status, code, detail, field }: Expected,
): Promise<void> {
  const answer = await rawExchange(server.port, { head: POST, ...request });
  const problem = answer.json();
  expect([answer.status, problem['code'], problem['detail']]).toEqual([
    status,
    code,
    expect.stringMatching(detail ?? /./),
  ]);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  if (field !== undefined) expect(problem['errors']).toContainEqual({ field, detail: expect.any(String) });
}

const BOUNDARY = 'b0undary';
const part = (disposition: string, body: string | Buffer) =>
  Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`),
    Buffer.from(body as string),
    Buffer.from('\r\n'),
  ]);
const closing = Buffer.from(`--${BOUNDARY}--\r\n`);
const formType = `Content-Type: multipart/form-data; boundary=${BOUNDARY}`;
function form(...parts: Buffer[]): { fields: string[]; body: Buffer } {
  const body = Buffer.concat(parts);
  return { fields: [...auth(), formType, `Content-Length: ${body.length}`], body };
}
const file = (size = 10) => part('name="file"; filename="a.bin"', seededBytes(size));

describe('a form that is wrong', () => {
  const tooMany = Array.from({ length: 40 }, (_, i) => part(`name="x${i}"`, '1'));
  const cases: [name: string, parts: () => Buffer[], expected: Expected][] = [
    ['no part at all', () => [closing], { status: 400, code: 'file_missing' }],
    ['no file part', () => [part('name="ttl"', '600'), closing], { status: 400, code: 'file_missing' }],
    ['two file parts', () => [file(), file(), closing], { status: 400, code: 'file_repeated' }],
    ['two large file parts', () => [file(100_000), file(100_000), closing], { status: 400, code: 'file_repeated' }],
    [
      'a file part named otherwise',
      () => [part('name="upload"; filename="a"', 'x'), closing],
      { status: 400, code: 'file_missing', detail: /"upload"/ },
    ],
    [
      'another file beside the file',
      () => [file(), part('name="photo"; filename="a"', 'x'), closing],
      { status: 400, code: 'file_missing', detail: /"photo"/ },
    ],
    [
      'an unknown field',
      () => [part('name="recipent"', 'a@b.c'), file(), closing],
      { status: 400, code: 'invalid_field', field: 'recipent' },
    ],
    [
      'an unknown field behind a large file',
      () => [file(200_000), part('name="expires"', '1'), closing],
      { status: 400, code: 'invalid_field', field: 'expires' },
    ],
    [
      'a field twice',
      () => [file(), part('name="ttl"', '600'), part('name="ttl"', '700'), closing],
      { status: 400, code: 'invalid_field', field: 'ttl' },
    ],
    ['many fields', () => [...tooMany, file(), closing], { status: 400, code: 'invalid_field' }],
    [
      'a field of 9,000 bytes',
      () => [part('name="note"', 'n'.repeat(9_000)), file(), closing],
      { status: 400, code: 'invalid_field', detail: /8192/ },
    ],
    [
      'ttl before the file',
      () => [part('name="ttl"', '59'), file(200_000), closing],
      { status: 400, code: 'invalid_field', field: 'ttl' },
    ],
    [
      'ttl behind a large file',
      () => [file(200_000), part('name="ttl"', 'soon'), closing],
      { status: 400, code: 'invalid_field', field: 'ttl' },
    ],
    ['cut within the file', () => [file(200_000).subarray(0, 150_000)], { status: 400, code: 'invalid_body' }],
    ['cut within a part header', () => [file().subarray(0, 40)], { status: 400, code: 'invalid_body' }],
    ['without its closing line', () => [file()], { status: 400, code: 'invalid_body' }],
    ['not a form at all', () => [Buffer.from('hello')], { status: 400, code: 'invalid_body' }],
    ['nothing', () => [], { status: 400, code: 'invalid_body' }],
    [
      'a name with a path',
      () => [part('name="file"; filename="../../etc/passwd"', 'x'), closing],
      { status: 400, code: 'invalid_field', field: 'filename' },
    ],
    [
      'a name with a line break',
      () => [part('name="file"; filename="a%0D%0ASet-Cookie: x"', 'x'), closing],
      { status: 400, code: 'invalid_field', field: 'filename' },
    ],
    ['over-size', () => [file(MAX + 1), closing], { status: 413, code: 'payload_too_large' }],
  ];
  it.each(cases)('%s → told, nothing kept', (_name, parts, expected) => refused(form(...parts()), expected));

  it('no boundary, an over-long form, an endless preamble → told', async () => {
    await refused(
      { fields: [...auth(), 'Content-Type: multipart/form-data', 'Content-Length: 4'], body: 'abcd' },
      { status: 400, code: 'invalid_body', detail: /boundary/i },
    );
    await refused(
      { fields: [...auth(), formType, `Content-Length: ${MAX + 2_000_000}`] },
      { status: 413, code: 'payload_too_large' },
    );
    const endless = Buffer.alloc(MAX + 1_200_000, 'p');
    await refused(
      { fields: [...auth(), formType, 'Transfer-Encoding: chunked'], body: oneChunk(endless) },
      { status: 413, code: 'payload_too_large' },
    );
  });
});

const oneChunk = (bytes: Buffer) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n0\r\n\r\n')]);

describe('a raw upload that is wrong', () => {
  const fields: [string, string, string][] = [
    ['X-TTL: 59', 'ttl', 'below the range'],
    ['X-TTL: 604801', 'ttl', 'above the range'],
    ['X-TTL: NaN', 'ttl', 'not a number'],
    ['X-TTL: 1e3', 'ttl', 'an exponent'],
    ['X-TTL: -600', 'ttl', 'a sign'],
    ['X-TTL: 600.5', 'ttl', 'a fraction'],
    ['X-TTL: 0x3c0', 'ttl', 'hex'],
    ['X-TTL: 99999999999999999999', 'ttl', 'beyond all numbers'],
    ['X-Filename: ../x', 'filename', 'a path up'],
    ['X-Filename: /etc/passwd', 'filename', 'an absolute path'],
    ['X-Filename: ..%2F..%2Fx', 'filename', 'an encoded path'],
    ['X-Filename: C:\\x', 'filename', 'a backslash'],
    ['X-Filename: ..', 'filename', 'the folder above'],
    ['X-Filename: a%0d%0aSet-Cookie:%20b', 'filename', 'an encoded line break'],
    ['X-Filename: a%00b', 'filename', 'an encoded NUL'],
    ['X-Filename: %E2%80%AEgpj.exe', 'filename', 'a direction override'],
    [`X-Filename: ${'ü'.repeat(128)}`, 'filename', '256 bytes'],
    ['X-Recipient: not an address', 'recipient', 'no address'],
    ['X-Recipient: a@b.c, d@e.f', 'recipient', 'two addresses'],
    [`X-Note: ${'n'.repeat(1_001)}`, 'note', '1,001 characters'],
    ['X-Burn: sometimes', 'burn', 'an unknown rule'],
    ['X-Require-Claim: perhaps', 'require_claim', 'no switch'],
    ['X-Attempts-Max: 0', 'attempts_max', 'no attempts'],
    ['X-Lease-Seconds: 4', 'lease_seconds', 'too short a lease'],
    ['X-Receipt-TTL: 31536001', 'receipt_ttl', 'over a year'],
  ];
  it.each(fields)('%s → invalid_field %s (%s)', (header, field) =>
    refused(
      { fields: [...auth(), header, 'Content-Length: 1'], body: 'x' },
      { status: 400, code: 'invalid_field', field },
    ),
  );

  it('several wrong fields → each is told at once', () =>
    refused(
      { fields: [...auth(), 'X-TTL: x', 'X-Filename: a/b', 'Content-Length: 1'], body: 'x' },
      { status: 400, code: 'invalid_field', detail: /filename: .*ttl: / },
    ));

  it('over-size: declared → 413 before a byte is read; undeclared → 413 when it shows; with Expect no 100 first', async () => {
    const big = seededBytes(MAX + 1);
    const tooLarge = { status: 413, code: 'payload_too_large', detail: /300000/ };
    await refused({ fields: [...auth(), `Content-Length: ${MAX + 1}`] }, tooLarge);
    await refused({ fields: [...auth(), `Content-Length: ${MAX + 1}`], body: big }, tooLarge);
    await refused({ fields: [...auth(), 'Transfer-Encoding: chunked'], body: oneChunk(big) }, tooLarge);
    const answer = await rawExchange(server.port, {
      head: POST,
      fields: [...auth(), 'Expect: 100-continue', `Content-Length: ${MAX + 1}`],
    });
    expect([answer.status, answer.interim]).toEqual([413, []]);
  });

  it('a huge body after the refusal → the answer still arrives, not a reset', async () => {
    const connection = await RawConnection.open(server.port);
    await connection.head(POST, [...auth(), 'Content-Length: 8000000']);
    const sent = connection.send(seededBytes(8_000_000));
    expect((await connection.answer()).status).toBe(413);
    await sent;
    connection.close();
  });

  it('another digest than announced, small and large → digest_mismatch', async () => {
    for (const size of [10, 200_000]) {
      const body = seededBytes(size);
      const digest = Buffer.alloc(32, 7).toString('base64');
      const expected = { status: 400, code: 'digest_mismatch' };
      const length = `Content-Length: ${size}`;
      await refused({ fields: [...auth(), `Repr-Digest: sha-256=:${digest}:`, length], body }, expected);
      await refused({ fields: [...auth(), `Content-Digest: sha-256=:${digest}:`, length], body }, expected);
    }
  });

  it('a Content-Encoding, a bad Idempotency-Key, nonsense for a length → told', async () => {
    const one = 'Content-Length: 1';
    await refused(
      { fields: [...auth(), 'Content-Encoding: gzip', one], body: 'x' },
      { status: 415, code: 'unsupported_media_type' },
    );
    const bad = { status: 400, code: 'idempotency_key_invalid' };
    await refused({ fields: [...auth(), 'Idempotency-Key: short', one], body: 'x' }, bad);
    await refused({ fields: [...auth(), `Idempotency-Key: ${'k'.repeat(256)}`, one], body: 'x' }, bad);
    await refused({ fields: [...auth(), 'Content-Length: -1'], body: 'x' }, { status: 400, code: 'bad_request' });
    await refused(
      { fields: [...auth(), 'Content-Length: 5', 'Transfer-Encoding: chunked'], body: 'x' },
      { status: 400, code: 'bad_request' },
    );
  });
});

describe('a body that does not come whole', () => {
  const sizes = [
    ['small', 1_000, 10],
    ['large', 250_000, 200_000],
  ] as const;
  it.each(sizes)('%s, half-closed before its length → 400 body_truncated', async (_name, announced, sent) => {
    const connection = await RawConnection.open(server.port);
    await connection.head(POST, [...auth(), `Content-Length: ${announced}`]);
    await connection.send(seededBytes(sent));
    connection.halfClose();
    const answer = await connection.answer();
    expect([answer.status, answer.json()['code']]).toEqual([400, 'body_truncated']);
    connection.close();
  });

  it.each(sizes)(
    '%s, reset before its length → nothing kept, and the place is free',
    async (_name, announced, sent) => {
      for (const fields of [[`Content-Length: ${announced}`], [formType, `Content-Length: ${announced}`]]) {
        const connection = await RawConnection.open(server.port);
        await connection.head(POST, [...auth(), ...fields]);
        if (fields.length === 2)
          await connection.send(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`);
        await connection.send(seededBytes(sent));
        await until('the upload to be under way', () => server.deps.active.total === 1);
        connection.reset();
        await until('the place to be free', () => server.deps.active.total === 0);
      }
    },
  );

  it('a chunked body that ends in the middle, or is no chunk → 400', async () => {
    const connection = await RawConnection.open(server.port);
    await connection.head(POST, [...auth(), 'Transfer-Encoding: chunked']);
    await connection.send('5\r\nab');
    connection.halfClose();
    expect((await connection.answer()).json()['code']).toBe('body_truncated');
    connection.close();
    const other = await RawConnection.open(server.port);
    await other.head(POST, [...auth(), 'Transfer-Encoding: chunked']);
    await other.send('zz\r\nab\r\n');
    expect((await other.answer()).status).toBe(400);
    other.close();
  });
});

describe('a wrong credential', () => {
  const hex = 'a'.repeat(64);
  const cases: [string, () => string[], Expected][] = [
    ['none', () => [], { status: 401, code: 'credentials_missing' }],
    [
      'no space behind Bearer',
      () => [`Authorization: Bearer${key}`],
      { status: 401, code: 'credentials_malformed', detail: /space/ },
    ],
    [
      '63 characters',
      () => [`Authorization: Bearer ${key.slice(1)}`],
      { status: 401, code: 'credentials_malformed', detail: /63/ },
    ],
    ['not hex', () => [`X-API-Key: ${'z'.repeat(64)}`], { status: 401, code: 'credentials_malformed' }],
    ['unknown', () => [`X-API-Key: ${hex}`], { status: 401, code: 'key_unknown' }],
    [
      'two different ones',
      () => [`Authorization: Bearer ${key}`, `X-API-Key: ${hex}`],
      { status: 400, code: 'credentials_ambiguous' },
    ],
  ];
  it.each(cases)('%s → what is wrong, and no 100 Continue before it', async (_name, fields, expected) => {
    await refused({ fields: ['Host: x', ...fields(), 'Content-Length: 4'], body: 'data' }, expected);
    const waiting = await rawExchange(server.port, {
      head: POST,
      fields: ['Host: x', ...fields(), 'Expect: 100-continue', 'Content-Length: 4'],
    });
    expect([waiting.status, waiting.interim]).toEqual([expected.status, []]);
    if (expected.status === 401) expect(waiting.headers['www-authenticate']).toContain(expected.code);
  });

  it('revoked → key_revoked with the fingerprint; revoked while the body is on its way → the same, nothing kept', async () => {
    const device = await server.device();
    const fields = ['Host: x', `X-API-Key: ${device.key}`];
    for (const size of [10, 200_000]) {
      const slow = await server.device();
      const connection = await RawConnection.open(server.port);
      await connection.head(POST, ['Host: x', `X-API-Key: ${slow.key}`, `Content-Length: ${size}`]);
      await connection.send(seededBytes(size - 1));
      await until('the upload to be under way', () => server.deps.active.total === 1);
      await server.revoke(slow.id);
      await connection.send('x');
      const answer = await connection.answer();
      expect([answer.status, answer.json()]).toEqual([
        401,
        expect.objectContaining({ code: 'key_revoked', fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) }),
      ]);
      connection.close();
    }
    await server.revoke(device.id);
    await refused({ fields: [...fields, 'Content-Length: 1'], body: 'x' }, { status: 401, code: 'key_revoked' });
  });
});
