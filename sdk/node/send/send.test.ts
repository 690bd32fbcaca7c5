import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ClientOptions, FuselinkClient } from '../index.ts';
import { createClient } from '../index.ts';
import type { FakeRelay } from '../testing/fake-relay.ts';
import { fakeRelay } from '../testing/fake-relay.ts';

let relay: FakeRelay;
let folder: string;
const clients: FuselinkClient[] = [];

beforeEach(async () => {
  relay = await fakeRelay();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-send-'));
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

function client(over: Partial<ClientOptions> = {}): FuselinkClient {
  const made = createClient({
    url: relay.url,
    key: 'good-key',
    device: 'pump',
    stateFolder: join(folder, 'state'),
    ...over,
  });
  clients.push(made);
  return made;
}

async function file(name: string, bytes: Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const patches = () => relay.requests.filter((line) => line.startsWith('PATCH'));
const stored = () => relay.finished().map((held) => digest(relay.content(held)));

describe('send: sources', () => {
  test('send: small file with an awkward name → one request, name, recipient and note as given', async () => {
    const name = 'Größe 100% "a" \u{1f321}.csv';
    const bytes = randomBytes(1000);
    const path = await file(name, bytes);
    const result = await client().send(path, { recipient: 'ops@example.com', note: 'zwei\nZeilen', ttlSeconds: 3600 });
    expect(relay.requests).toEqual(['POST /v1/upload']);
    expect(relay.held[0]).toMatchObject({
      filename: name,
      recipient: 'ops@example.com',
      note: 'zwei\nZeilen',
      ttl: '3600',
    });
    expect(result).toMatchObject({ sizeBytes: 1000, sha256: digest(bytes), filename: name, state: 'ready' });
    expect(result.url).toContain('/get/');
  });

  test.each([0, 1, 65_536, 65_537, 3_000_001])('send: file of %i bytes → the very bytes', async (size) => {
    const bytes = randomBytes(size);
    const result = await client().send(await file('f.bin', bytes));
    expect(stored()).toEqual([digest(bytes)]);
    expect(result.sha256).toBe(digest(bytes));
    expect(result.sizeBytes).toBe(size);
  });

  test('send: bytes in memory → sent under the name given', async () => {
    await client().send(Buffer.from('hello'), { filename: 'h.txt' });
    expect(relay.held[0]).toMatchObject({ filename: 'h.txt', size: 5 });
  });

  test.each([10, 65_536, 4_194_304, 4_194_305, 9_000_000])(
    'send: stream of %i bytes → the very bytes, windows of 4 MiB',
    async (size) => {
      const bytes = randomBytes(size);
      const parts: Buffer[] = [];
      for (let at = 0; at < size; at += 100_000) parts.push(bytes.subarray(at, at + 100_000));
      const result = await client().send(Readable.from(parts), { filename: 's' });
      expect(stored()).toEqual([digest(bytes)]);
      expect(result.sizeBytes).toBe(size);
      expect(patches()).toHaveLength(size <= 65_536 ? 0 : Math.ceil(size / 4_194_304));
    },
  );

  test('send: nothing there, a folder, an unreadable option → refused before any request', async () => {
    const one = client();
    await expect(one.send(join(folder, 'none'))).rejects.toMatchObject({ code: 'source_missing' });
    await expect(one.send(folder)).rejects.toMatchObject({ code: 'source_unreadable' });
    await expect(one.send(Buffer.from(''), { ttlSeconds: 59 })).rejects.toMatchObject({ code: 'option_invalid' });
    await expect(one.send(Buffer.from(''), { lane: 1.5 })).rejects.toMatchObject({ code: 'option_invalid' });
    await expect(one.send(7 as unknown as string)).rejects.toThrow(TypeError);
    expect(relay.requests).toEqual([]);
  });

  test('send: 5 GiB and one byte (sparse) → refused before any request', async () => {
    const path = await file('huge', Buffer.alloc(0));
    await truncate(path, 5_368_709_121);
    await expect(client().send(path)).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(relay.requests).toEqual([]);
  });
});

describe('send: a network that breaks', () => {
  test('send: answer lost → sent again under the same key, one transfer', async () => {
    relay.loseAnswers.push((request) => request.url === '/v1/upload');
    await client().send(await file('f', Buffer.from('abc')));
    expect(relay.requests).toEqual(['POST /v1/upload', 'POST /v1/upload']);
    expect(relay.held).toHaveLength(1);
  });

  test('send: upload cut at several bytes → goes on from what the server has, digest right, never from 0', async () => {
    const bytes = randomBytes(2_000_000);
    relay.cutUploads.push(1, 700_000, 300_000);
    const result = await client().send(await file('f', bytes));
    expect(stored()).toEqual([digest(bytes)]);
    expect(result.sha256).toBe(digest(bytes));
    expect(patches()).toHaveLength(4);
    expect(relay.requests.filter((line) => line === 'POST /v1/uploads')).toHaveLength(1);
  });

  test('send: stream cut in the middle → sent again from memory', async () => {
    const bytes = randomBytes(6_000_000);
    relay.cutUploads.push(1_000_000, 3_000_000, 50_000);
    await client().send(
      Readable.from([bytes.subarray(0, 10), bytes.subarray(10, 5_000_000), bytes.subarray(5_000_000)]),
      {
        filename: 's',
      },
    );
    expect(stored()).toEqual([digest(bytes)]);
  });

  test('send: last answer of a resumable upload lost → the link is asked for, nothing sent twice', async () => {
    relay.loseAnswers.push((request) => request.method === 'PATCH');
    const bytes = randomBytes(100_000);
    const result = await client().send(await file('f', bytes));
    expect(relay.requests).toEqual(['POST /v1/uploads', 'PATCH /v1/uploads/:secret', 'HEAD /v1/uploads/:secret']);
    expect(result.url).toContain('/get/');
  });

  test('send: nobody there and little patience → unreachable, resumable', async () => {
    await relay.close();
    const error = client().send(Buffer.from('x'), { giveUpAfterMs: 1 });
    await expect(error).rejects.toMatchObject({ code: 'unreachable', resumable: true });
    relay = await fakeRelay();
  });

  test('send: a server that takes the body and says nothing → silent, told with the time', async () => {
    relay.faults.push({ on: () => true, run: () => true });
    const error = client({ silenceMs: 50 }).send(Buffer.from('x'), { giveUpAfterMs: 0 });
    await expect(error).rejects.toMatchObject({ code: 'silent' });
  });

  test('send: refused key → fails with its code; the key is in no message', async () => {
    relay.revoked.set('old-key', '0011223344556677');
    const one = client({ key: 'old-key' });
    const refusals: unknown[] = [];
    one.on('credentialRefused', (refusal) => refusals.push(refusal));
    const error = await one.send(randomBytes(100_000)).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'key_revoked', status: 401 });
    expect(refusals).toEqual([{ code: 'key_revoked', fingerprint: '0011223344556677' }]);
    expect(JSON.stringify(error) + String(error)).not.toContain('old-key');
  });

  test('send: no key, or one with a line end → told before any request, without repeating it', async () => {
    await expect(client({ key: undefined }).send(Buffer.from('x'))).rejects.toMatchObject({ code: 'key_missing' });
    const error = await client({ key: 'sec ret\n' })
      .send(Buffer.from('x'))
      .catch((e: unknown) => e as Error);
    expect(error).toMatchObject({ code: 'key_missing' });
    expect(String(error)).not.toContain('sec');
    expect(relay.requests).toEqual([]);
  });

  test('send: large body to a refusing server → refused before the body (100-continue)', async () => {
    relay.faults.push({
      on: (request) => request.method === 'PATCH',
      run: ({ response }) => {
        response.writeHead(507, { 'Content-Type': 'application/problem+json' });
        response.end(JSON.stringify({ code: 'storage_full', status: 507, detail: 'full' }));
        return true;
      },
    });
    await expect(client().send(randomBytes(5_000_000))).rejects.toMatchObject({ code: 'storage_full', status: 507 });
    expect(relay.held[0]?.size).toBe(0);
  });

  test('send: aborted in the middle → aborted, and the next send of the file goes on', async () => {
    const bytes = randomBytes(3_000_000);
    const path = await file('f', bytes);
    const stop = new AbortController();
    const first = client().send(path, {
      signal: stop.signal,
      onProgress: ({ bytes: sent }) => {
        if (sent > 1_000_000) stop.abort();
      },
    });
    await expect(first).rejects.toMatchObject({ code: 'aborted', resumable: true });
    await client().send(path);
    expect(stored()).toEqual([digest(bytes)]);
    expect(relay.held).toHaveLength(1);
  });

  test('send: a Location on another host → only its path is used, the key goes nowhere else', async () => {
    relay.faults.push({
      on: (request) => request.url === '/v1/uploads',
      run: ({ response }) => {
        response.writeHead(201, { Location: 'http://127.0.0.1:1/v1/uploads/stolen', 'Content-Length': '0' });
        response.end();
        return true;
      },
    });
    await client().send(randomBytes(100_000));
    expect(relay.requests.slice(0, 2)).toEqual(['POST /v1/uploads', 'PATCH /v1/uploads/:secret']);
    expect(relay.finished()).toHaveLength(1);
  });

  test('send: redirect → not followed', async () => {
    relay.faults.push(
      ...Array.from({ length: 5 }, () => ({
        on: () => true,
        run: ({ response }: { response: import('node:http').ServerResponse }) => {
          response.writeHead(307, { Location: 'http://127.0.0.1:1/', 'Content-Length': '0' });
          response.end();
          return true;
        },
      })),
    );
    await expect(client().send(Buffer.from('x'), { giveUpAfterMs: 0 })).rejects.toMatchObject({ code: 'not_fuselink' });
  });
});

describe('send: a file that changes', () => {
  test('send: grows while its first part is under way → noticed, what was sent removed, sent afresh', async () => {
    const bytes = randomBytes(2_000_000);
    const path = await file('f', bytes);
    relay.cutUploads.push(500_000);
    relay.faults.push({
      on: (request) => request.method === 'HEAD',
      run: async () => {
        await appendFile(path, 'more');
        return false;
      },
    });
    const one = client();
    const restarts: unknown[] = [];
    one.on('restarted', (restart) => restarts.push(restart));
    const result = await one.send(path);
    const now = await readFile(path);
    expect(restarts).toEqual([{ filename: 'f', reason: 'source_changed' }]);
    expect(result.sha256).toBe(digest(now));
    expect(stored()).toEqual([digest(now)]);
  });

  test('send: rewritten with the same size before the last answer → noticed by mtime, the mixed transfer removed', async () => {
    const path = await file('f', randomBytes(300_000));
    relay.faults.push({
      on: (request) => request.method === 'PATCH',
      run: async () => {
        await writeFile(path, randomBytes(300_000));
        return false;
      },
    });
    const result = await client().send(path);
    const now = await readFile(path);
    expect(result.sha256).toBe(digest(now));
    expect(stored()).toEqual([digest(now)]);
  });

  test('send: changes every time → an explicit failure after five fresh starts, nothing left', async () => {
    const path = await file('f', randomBytes(100_000));
    relay.faults.push(
      ...Array.from({ length: 20 }, () => ({
        on: (request: import('node:http').IncomingMessage) => request.method === 'PATCH',
        run: async () => {
          await appendFile(path, 'x');
          return false;
        },
      })),
    );
    await expect(client().send(path)).rejects.toMatchObject({ code: 'source_changed' });
    expect(relay.finished()).toEqual([]);
  });

  test('send: the server stored other bytes than were sent → removed and sent again', async () => {
    relay.faults.push({
      on: (request) => request.method === 'HEAD',
      run: () => {
        const held = relay.held[0];
        if (held?.bytes[0]) held.bytes[0] = Buffer.from(held.bytes[0]).fill(0);
        return false;
      },
    });
    relay.loseAnswers.push((request) => request.method === 'PATCH');
    const bytes = randomBytes(200_000);
    await client().send(await file('f', bytes));
    expect(stored()).toEqual([digest(bytes)]);
  });
});

describe('send: state on disk', () => {
  test('send: finished → nothing is left; while under way → one file of mode 0600 without the key', async () => {
    const path = await file('f', randomBytes(200_000));
    let during: { mode: number; text: string } | null = null;
    relay.faults.push({
      on: (request) => request.method === 'PATCH',
      run: async () => {
        const sends = join(folder, 'state', 'sends');
        const [name] = await readdir(sends);
        const record = join(sends, name as string);
        during = { mode: (await stat(record)).mode & 0o777, text: await readFile(record, 'utf8') };
        return false;
      },
    });
    await client().send(path);
    expect(during).toMatchObject({ mode: 0o600 });
    expect((during as unknown as { text: string }).text).not.toContain('good-key');
    expect(await readdir(join(folder, 'state', 'sends'))).toEqual([]);
  });

  test('send: record cut in the middle of its bytes → counts as absent, the file is sent', async () => {
    const path = await file('f', randomBytes(200_000));
    const stop = new AbortController();
    stop.signal.addEventListener('abort', () => {});
    relay.faults.push({
      on: (request) => request.method === 'PATCH',
      run: ({ socket }) => {
        socket.destroy();
        stop.abort();
        return true;
      },
    });
    await expect(client().send(path, { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
    const sends = join(folder, 'state', 'sends');
    const [name] = await readdir(sends);
    await truncate(join(sends, name as string), 20);
    await client().send(path);
    expect(relay.finished()).toHaveLength(1);
  });

  test('send: state folder cannot be written → sent all the same, and the loss of resuming is told', async () => {
    const blocked = await file('blocked', Buffer.from(''));
    const one = client({ stateFolder: join(blocked, 'state') });
    const warnings: { code: string; detail: string }[] = [];
    one.on('warning', (warning) => warnings.push(warning));
    await one.send(await file('f', randomBytes(100_000)));
    expect(relay.finished()).toHaveLength(1);
    expect(warnings).toEqual([{ code: 'state_unwritable', detail: expect.stringContaining('blocked') }]);
  });

  test('send: the same file twice at once → two transfers', async () => {
    const path = await file('f', randomBytes(200_000));
    const one = client();
    const both = await Promise.all([one.send(path), one.send(path)]);
    expect(both[0]?.id).not.toBe(both[1]?.id);
    expect(relay.finished()).toHaveLength(2);
  });

  test('send: closed client → refused; closed while sending → ends as aborted', async () => {
    const one = client();
    relay.faults.push({ on: () => true, run: () => true });
    const running = one.send(Buffer.from('x'));
    const ended = expect(running).rejects.toMatchObject({ code: 'aborted' });
    await one.close();
    await ended;
    await expect(one.send(Buffer.from('x'))).rejects.toMatchObject({ code: 'closed' });
  });
});
