import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RawConnection, rawExchange } from '../support/raw-http.ts';
import { expectStored } from '../support/read-back.ts';
import { run } from '../support/run.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { expectNothingHalfDone } from '../support/stored-bytes.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
let key: string;
let folder: string;
beforeAll(async () => {
  server = await startTestServer();
  key = (await server.device()).key;
  folder = await mkdtemp(join(tmpdir(), 'fuselink-clients-'));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a command line in a shell, as documented, with host, key and path put in. */
async function shell(line: string, path = ''): Promise<Record<string, unknown>> {
  const text = line
    .replaceAll('HOST', `127.0.0.1:${server.port}`)
    .replaceAll('KEY', key)
    .replaceAll('/path/to/sensor-log.csv', path);
  const result = await run('sh', ['-c', text], { cwd: folder });
  return JSON.parse(result.stdout);
}

describe('upload by curl', () => {
  it('the documented form → id, url, expires_at; recipient and ttl are kept', async () => {
    const content = Buffer.from('time,celsius\n1,21.5\n');
    const path = join(folder, 'sensor-log.csv');
    await writeFile(path, content);
    const before = Date.now();
    const answer = await shell(
      'curl -X POST http://HOST/v1/upload -H "Authorization: Bearer KEY" -F "file=@/path/to/sensor-log.csv" -F "recipient=recipient@example.com" -F "ttl=3600"',
      path,
    );
    expect(answer['url']).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${server.port}/get/[\\w-]{43}$`));
    const livesMs = Date.parse(String(answer['expires_at'])) - before;
    expect(livesMs).toBeGreaterThan(3_595_000);
    expect(livesMs).toBeLessThan(3_660_000);
    const receipt = await rawExchange(server.port, {
      head: `GET /v1/transfers/${answer['id']} HTTP/1.1`,
      fields: ['Host: x', `Authorization: Bearer ${key}`],
    });
    expect(receipt.json()).toMatchObject({
      recipient: 'recipient@example.com',
      state: 'ready',
      filename: 'sensor-log.csv',
    });
    await expectStored(server, answer, { content, name: 'sensor-log.csv' });
  });

  it('the documented raw request → the bytes, X-Filename and X-Recipient', async () => {
    const content = seededBytes(70_000);
    const answer = await rawExchange(server.port, {
      head: 'POST /v1/upload HTTP/1.1',
      fields: [
        'Host: x',
        `Authorization: Bearer ${key}`,
        'Content-Type: application/octet-stream',
        'X-Filename: reading.bin',
        'X-Recipient: ops@example.com',
        `Content-Length: ${content.length}`,
      ],
      body: content,
    });
    expect(answer.status).toBe(201);
    await expectStored(server, answer.json(), { content, name: 'reading.bin' });
  });

  const quoting: [name: string, size: number][] = [
    ['with space & "quotes".bin', 10],
    ['日本語 ümlaut 🔌.csv', 100],
    ["it's 100%.csv", 65_536],
    ['a%20b+c.bin', 65_537],
    ['empty.bin', 0],
    ['large.bin', 3_000_000],
  ];
  it.each(quoting)('curl -F and curl -T of %j (%i bytes) → name and bytes as they are', async (name, size) => {
    const content = seededBytes(size, size);
    await writeFile(join(folder, name), content);
    const escaped = name.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
    const auth = ['-sS', '-H', `X-API-Key: ${key}`];
    const form = await run('curl', [...auth, '-F', `file=@"${escaped}"`, `${server.url}/v1/upload`], { cwd: folder });
    await expectStored(server, JSON.parse(form.stdout), { content, name });
    const put = await run('curl', [...auth, '-T', name, `${server.url}/v1/upload/`], { cwd: folder });
    await expectStored(server, JSON.parse(put.stdout), { content, name });
  });

  it('curl --data-binary (urlencoded type), -T - (chunked, 100-continue) and a form read from a pipe → stored', async () => {
    const content = seededBytes(2_000_000, 7);
    const common = ['-sS', '-H', `Authorization: ${key}`];
    const lines = [
      [...common, '--data-binary', '@-', `${server.url}/v1/upload`],
      [...common, '-T', '-', `${server.url}/v1/upload/piped.bin`],
      [...common, '-H', 'Transfer-Encoding: chunked', '-F', 'file=@-;filename=piped.bin', `${server.url}/v1/upload`],
      [...common, '-0', '--data-binary', '@-', `${server.url}/v1/upload`],
      [...common, '--http2', '--data-binary', '@-', `${server.url}/v1/upload`],
    ];
    for (const args of lines) {
      const result = await run('curl', args, { input: content });
      await expectStored(server, JSON.parse(result.stdout), { content });
    }
  });
});

const BOUNDARY = "odd ()+_,-./:=?'";
const part = (disposition: string, body: string | Buffer, type?: string) =>
  Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n`),
    Buffer.from(type === undefined ? '\r\n' : `Content-Type: ${type}\r\n\r\n`),
    Buffer.from(body as string),
    Buffer.from('\r\n'),
  ]);
const closing = Buffer.from(`--${BOUNDARY}--\r\n`);
const formType = `Content-Type: multipart/form-data; boundary="${BOUNDARY}"`;

describe('upload by small clients, byte for byte', () => {
  const content = Buffer.from([0, 1, 2, 13, 10, 13, 10, 0, 255, 254, ...Buffer.from('\r\n--odd ()\r\n--')]);
  const raw = (...fields: string[]) => ['Host: x', `X-API-Key: ${key}`, ...fields];
  const length = `Content-Length: ${content.length}`;
  const file = part('name="file"; filename="räw.bin"', content, 'application/x-thing');
  const recipient = part('name="recipient"', 'a@example.com');
  const ttl = part('name="ttl"', '600');
  const form = (...parts: Buffer[]) => {
    const body = Buffer.concat([...parts, closing]);
    return { fields: raw(formType, `Content-Length: ${body.length}`), body };
  };
  const post = 'POST /v1/upload HTTP/1.1';

  const cases: [name: string, request: () => { head?: string; fields: string[]; body: Uint8Array }][] = [
    [
      'HTTP/1.0 without Host',
      () => ({ head: 'POST /v1/upload HTTP/1.0', fields: [`X-API-Key: ${key}`, length], body: content }),
    ],
    [
      'no space behind the colon, odd case, odd order',
      () => ({ fields: [`content-LENGTH:${content.length}`, `x-api-KEY:${key}`, 'hOsT:x'], body: content }),
    ],
    [
      'Host without its port, no User-Agent, no Accept, no Content-Type',
      () => ({ fields: raw(length), body: content }),
    ],
    [
      'two Content-Types',
      () => ({
        fields: raw('Content-Type: application/octet-stream', 'Content-Type: text/plain', length),
        body: content,
      }),
    ],
    [
      'urlencoded type on binary',
      () => ({ fields: raw('Content-Type: application/x-www-form-urlencoded', length), body: content }),
    ],
    ['a type that is none', () => ({ fields: raw('Content-Type: ;;;', length), body: content })],
    [
      'Upgrade: h2c',
      () => ({
        fields: raw('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQ', length),
        body: content,
      }),
    ],
    ['PUT', () => ({ head: 'PUT /v1/upload/put.bin HTTP/1.1', fields: raw(length), body: content })],
    [
      'raw credential in Authorization',
      () => ({ fields: ['Host: x', `Authorization: ${key}`, length], body: content }),
    ],
    ['a form: fields before', () => form(recipient, ttl, file)],
    ['a form: fields behind', () => form(file, ttl, recipient)],
    ['a form: around', () => form(ttl, file, recipient)],
    [
      'a form: preamble and epilogue',
      () => {
        const { body } = form(file, recipient);
        const whole = Buffer.concat([Buffer.from('This is a MIME message.\r\n'), body, Buffer.from('epilogue\r\n')]);
        return { fields: raw(formType, `Content-Length: ${whole.length}`), body: whole };
      },
    ],
    [
      'a form: chunked',
      () => {
        const { body } = form(ttl, file, recipient);
        return { fields: raw(formType, 'Transfer-Encoding: chunked'), body: chunked(body, 7) };
      },
    ],
    ['chunked', () => ({ fields: raw('Transfer-Encoding: chunked'), body: chunked(content, 5) })],
    [
      'chunked with extensions and trailers',
      () => {
        const body = Buffer.concat([
          Buffer.from(`${content.length.toString(16)};a="b"\r\n`),
          content,
          Buffer.from('\r\n0\r\nX-Trailer: 1\r\n\r\n'),
        ]);
        return { fields: raw('Transfer-Encoding: chunked'), body };
      },
    ],
  ];
  it.each(cases)('%s → 201 with a length and small headers, no 1xx', async (_name, request) => {
    const made = request();
    const answer = await rawExchange(server.port, { head: post, ...made });
    expect([answer.status, answer.text()]).toEqual([201, expect.stringContaining('"url"')]);
    expect(answer.interim).toEqual([]);
    expect(Number(answer.headers['content-length'])).toBe(answer.body.length);
    expect(JSON.stringify(answer.headers).length).toBeLessThan(2_000);
    await expectStored(server, answer.json(), { content });
  });

  it('a form byte by byte, and a chunked body of 1-byte chunks → stored', async () => {
    const { fields, body } = form(recipient, file, ttl);
    const connection = await RawConnection.open(server.port);
    await connection.head(post, fields);
    for (const byte of body) await connection.send(Uint8Array.of(byte));
    const answer = await connection.answer();
    connection.close();
    await expectStored(server, answer.json(), { content, name: 'räw.bin' });

    const large = seededBytes(100_000, 3);
    const chunks = await rawExchange(server.port, {
      head: post,
      fields: raw('Transfer-Encoding: chunked'),
      body: chunked(large, 1),
    });
    await expectStored(server, chunks.json(), { content: large });
  });

  it('names: UTF-8 in X-Filename, percent-encoded, RFC 8187, filename* and a field behind the file → as meant', async () => {
    const headers: [string, string][] = [
      ['X-Filename: größe.csv', 'größe.csv'],
      ['X-Filename: gr%C3%B6%C3%9Fe.csv', 'größe.csv'],
      ["X-Filename: UTF-8''gr%C3%B6%C3%9Fe.csv", 'größe.csv'],
      ['X-Filename: 100%.csv', '100%.csv'],
    ];
    for (const [field, name] of headers) {
      const answer = await rawExchange(server.port, { head: post, fields: raw(length, field), body: content });
      expect(answer.json()).toMatchObject({ filename: name });
    }
    const forms: [Buffer[], string][] = [
      [[part('name="file"; filename*=UTF-8\'\'gr%C3%B6%C3%9Fe.csv', content)], 'größe.csv'],
      [[part('name="file"; filename="a;b=\\"c\\".csv"', content)], 'a;b="c".csv'],
      [[file, part('name="filename"', 'renamed.bin')], 'renamed.bin'],
      [[part('name="filename"', 'renamed.bin'), file], 'renamed.bin'],
      [[part('name="file"', content)], 'file.bin'],
    ];
    for (const [parts, name] of forms) {
      const answer = await rawExchange(server.port, { head: post, ...form(...parts) });
      expect([answer.status, answer.json()['filename']]).toEqual([201, name]);
    }
  });

  it('an empty body: Content-Length 0, no length at all, chunked, an empty file part → an empty file', async () => {
    const empty = Buffer.alloc(0);
    for (const request of [
      { fields: raw('Content-Length: 0'), body: empty },
      { fields: raw(), body: empty },
      { fields: raw('Transfer-Encoding: chunked'), body: Buffer.from('0\r\n\r\n') },
      form(part('name="file"; filename="empty.csv"', '')),
    ]) {
      const answer = await rawExchange(server.port, { head: post, ...request });
      expect(answer.status).toBe(201);
      await expectStored(server, answer.json(), { content: empty });
    }
  });

  it('two uploads in one write on one connection → two links, in order', async () => {
    const connection = await RawConnection.open(server.port);
    const request = (text: string) =>
      `POST /v1/upload HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    await connection.send(request('first') + request('second!'));
    expect([(await connection.answer()).json()['size'], (await connection.answer()).json()['size']]).toEqual([5, 7]);
    connection.close();
  });

  it('Expect: 100-continue → one 100 after admission; nothing of the body before it is needed', async () => {
    const connection = await RawConnection.open(server.port);
    await connection.head(post, raw('Expect: 100-continue', length));
    expect(await connection.interimAnswers(1)).toEqual([100]);
    await connection.send(content);
    const answer = await connection.answer();
    expect([answer.status, answer.interim]).toEqual([201, [100]]);
    connection.close();
  });

  it('all of it → nothing half-done', async () => {
    const { rows } = await server.deps.store.count('transfers', { where: [] });
    await expectNothingHalfDone(server.deps, rows);
  });
});

function chunked(bytes: Uint8Array, size: number): Buffer {
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    out.push(Buffer.from(`${piece.length.toString(16)}\r\n`), Buffer.from(piece), Buffer.from('\r\n'));
  }
  return Buffer.concat([...out, Buffer.from('0\r\n\r\n')]);
}
