import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RawAnswer, RawConnection, rawExchange } from '../support/raw-http.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { shiftClock } from '../support/shifted-clock.ts';
import { allTransfers, expectNothingHalfDone } from '../support/stored-bytes.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer({ FUSELINK_UPLOADS_PER_MINUTE: '60', FUSELINK_UPLOADS_IN_FLIGHT: '16' });
});
afterEach(() => server.close());

const POST = 'POST /v1/upload HTTP/1.1';
const fieldsOf = (key: string, ...more: string[]) => ['Host: x', `X-API-Key: ${key}`, ...more];

function send(key: string, body: string | Uint8Array = 'x', ...more: string[]): Promise<RawAnswer> {
  return rawExchange(server.port, {
    head: POST,
    fields: fieldsOf(key, `Content-Length: ${body.length}`, ...more),
    body,
  });
}

/** `"uploads";r=…;t=…` */
function limitOf(answer: RawAnswer): { remaining: number; seconds: number } {
  const match = /^"uploads";r=(\d+);t=(\d+)$/.exec(answer.headers['ratelimit'] ?? '');
  return { remaining: Number(match?.[1]), seconds: Number(match?.[2]) };
}

async function tally(answers: Promise<RawAnswer>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const answer of await Promise.all(answers)) {
    const name = answer.status === 201 ? '201' : `${answer.status} ${answer.json()['code']}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

describe('60 uploads a minute', () => {
  it('100 at once from one device → exactly 60, the others 429 with Retry-After; another device is not touched', async () => {
    const device = await server.device();
    const answers = Array.from({ length: 100 }, (_, i) => send(device.key, seededBytes(100 + i)));
    expect(await tally(answers)).toEqual({ 201: 60, '429 upload_limit_exceeded': 40 });
    for (const answer of await Promise.all(answers)) {
      expect(answer.headers['ratelimit-policy']).toBe('"uploads";q=60;w=60');
      if (answer.status !== 429) continue;
      const seconds = Number(answer.headers['retry-after']);
      expect(seconds).toBeGreaterThanOrEqual(50);
      expect(seconds).toBeLessThanOrEqual(60);
      expect(answer.json()['type']).toBe('https://iana.org/assignments/http-problem-types#quota-exceeded');
      const limit = limitOf(answer);
      // The header is written a little later than the refusal: a second may have turned in between.
      expect([limit.remaining, seconds - limit.seconds === 0 || seconds - limit.seconds === 1]).toEqual([0, true]);
    }
    const other = await server.device();
    expect((await send(other.key)).status).toBe(201);
    await expectNothingHalfDone(server.deps, 61);
  });

  it('100 at once with large bodies and a second key of the device → together exactly 60', async () => {
    const device = await server.device();
    const next = await server.nextKey(device.deviceId ?? '');
    const body = seededBytes(100_000);
    const answers = Array.from({ length: 100 }, (_, i) => send(i % 2 === 0 ? device.key : next.key, body));
    expect(await tally(answers)).toEqual({ 201: 60, '429 upload_limit_exceeded': 40 });
    await expectNothingHalfDone(server.deps, 60);
  });

  it('r counts down; refused and wrong ones cost nothing; the window slides exactly', async () => {
    const clock = shiftClock(server.deps);
    const { key } = await server.device();
    expect(limitOf(await send(key))).toEqual({ remaining: 59, seconds: 60 });
    expect((await send(key, 'x', 'X-TTL: soon')).status).toBe(400);
    expect((await send(key, 'x', `Repr-Digest: sha-256=:${'A'.repeat(43)}=:`)).status).toBe(400);
    clock.forward(30_000);
    for (let i = 0; i < 58; i++) await send(key);
    expect(limitOf(await send(key))).toMatchObject({ remaining: 0 });
    for (let i = 0; i < 5; i++) {
      const refused = await send(key);
      expect(refused.status).toBe(429);
      expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(30);
    }
    clock.forward(30_100);
    const again = await send(key);
    expect([again.status, limitOf(again).remaining]).toEqual([201, 0]);
    expect((await send(key)).status).toBe(429);
  });

  it('over the limit, a request that expects 100 → refused before it, and a burst after a restart is still counted', async () => {
    const { key } = await server.device();
    for (let i = 0; i < 60; i++) await send(key);
    const waiting = await rawExchange(server.port, {
      head: POST,
      fields: fieldsOf(key, 'Expect: 100-continue', 'Content-Length: 5'),
    });
    expect([waiting.status, waiting.interim]).toEqual([429, []]);
    server = await server.restart();
    expect((await send(key)).status).toBe(429);
  });

  it('resumable uploads: creation counts, going on does not; over the limit what was begun goes on', async () => {
    const { key } = await server.device();
    const tus = (method: string, path: string, fields: string[], body: string | Uint8Array = '') =>
      rawExchange(server.port, {
        head: `${method} ${path} HTTP/1.1`,
        fields: fieldsOf(key, 'Tus-Resumable: 1.0.0', `Content-Length: ${body.length}`, ...fields),
        body,
      });
    const created = await tus('POST', '/v1/uploads', ['Upload-Length: 70']);
    expect(limitOf(created).remaining).toBe(59);
    const path = new URL(created.headers['location'] ?? '').pathname;
    for (let i = 0; i < 59; i++) await send(key);
    expect((await tus('POST', '/v1/uploads', ['Upload-Length: 70'])).status).toBe(429);
    for (let offset = 0; offset < 70; offset++) {
      const type = 'Content-Type: application/offset+octet-stream';
      const answer = await tus('PATCH', path, [type, `Upload-Offset: ${offset}`], 'x');
      expect([answer.status, answer.headers['upload-offset']]).toEqual([204, String(offset + 1)]);
    }
    expect((await tus('HEAD', path, [])).headers['fuselink-url']).toMatch(/\/get\//);
  });
});

describe('uploads at the same time', () => {
  const begin = async (key: string, length = 200_000) => {
    const connection = await RawConnection.open(server.port);
    await connection.head(POST, fieldsOf(key, `Content-Length: ${length}`));
    await connection.send(seededBytes(100));
    return connection;
  };

  it('the 17th waits for a place, and is let in as soon as one is free', async () => {
    const { key } = await server.device();
    const open = await Promise.all(Array.from({ length: 16 }, () => begin(key)));
    await until('16 places taken', () => server.deps.active.total === 16);
    const waiting = await RawConnection.open(server.port);
    await waiting.head(POST, fieldsOf(key, 'Expect: 100-continue', 'Content-Length: 5'));
    await until('one that waits', () => [...server.deps.active.subjects()].some((one) => one.waiting === 1));
    expect(waiting.unread.length).toBe(0);
    open[0]?.reset();
    expect(await waiting.interimAnswers(1)).toEqual([100]);
    await waiting.send('hello');
    expect((await waiting.answer()).status).toBe(201);
    for (const connection of [...open, waiting]) connection.reset();
    await expectNothingHalfDone(server.deps, 1);
    expect(server.deps.active.remembered).toBe(0);
  });

  it('nobody ends → 429 with Retry-After, without a byte read; others are not held up', async () => {
    const { key } = await server.device();
    const open = await Promise.all(Array.from({ length: 16 }, () => begin(key)));
    await until('16 places taken', () => server.deps.active.total === 16);
    const refused = send(key, 'hello');
    const other = await server.device();
    expect((await send(other.key)).status).toBe(201);
    const answer = await refused;
    expect([answer.status, answer.json()['code'], answer.headers['retry-after']]).toEqual([
      429,
      'too_many_in_flight',
      '1',
    ]);
    for (const connection of open) connection.reset();
    await expectNothingHalfDone(server.deps, 1);
  });

  it('a place is waited for and the client goes away → it waits no longer', async () => {
    const { key } = await server.device();
    const open = await Promise.all(Array.from({ length: 16 }, () => begin(key)));
    await until('16 places taken', () => server.deps.active.total === 16);
    const waiting = await begin(key);
    await until('one that waits', () => [...server.deps.active.subjects()].some((one) => one.waiting === 1));
    waiting.reset();
    await until('none that waits', () => [...server.deps.active.subjects()].every((one) => one.waiting === 0));
    for (const connection of open) connection.reset();
    await expectNothingHalfDone(server.deps, 0);
  });
});

describe('slow and silent clients', () => {
  it('bytes that keep coming, however few → not cut by the idle limit; silence → cut, nothing kept', async () => {
    server = await restarted({ FUSELINK_IDLE_SECONDS: '1' });
    const { key } = await server.device();
    const slow = await RawConnection.open(server.port);
    const silent = await RawConnection.open(server.port);
    const form = await RawConnection.open(server.port);
    const tus = await RawConnection.open(server.port);
    const created = await rawExchange(server.port, {
      head: 'POST /v1/uploads HTTP/1.1',
      fields: fieldsOf(key, 'Tus-Resumable: 1.0.0', 'Upload-Length: 1000'),
    });
    const path = new URL(created.headers['location'] ?? '').pathname;
    await slow.head(POST, fieldsOf(key, 'Content-Length: 1000'));
    await silent.head(POST, fieldsOf(key, 'Content-Length: 200000'));
    await silent.send(seededBytes(100_000));
    await form.head(POST, fieldsOf(key, 'Content-Type: multipart/form-data; boundary=x', 'Content-Length: 1000'));
    await form.send('--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf');
    await tus.head(
      `PATCH ${path} HTTP/1.1`,
      fieldsOf(
        key,
        'Tus-Resumable: 1.0.0',
        'Upload-Offset: 0',
        'Content-Type: application/offset+octet-stream',
        'Content-Length: 1000',
      ),
    );
    await tus.send(seededBytes(400));
    await until('all four under way', () => server.deps.active.total === 4);
    // The slow one sends until the silent ones are gone: it outlived the limit by keeping on, not by luck.
    let sent = 0;
    const over = Promise.all([silent.ended(), form.ended(), tus.ended()]).then(() => true);
    for (;;) {
      await slow.send('x');
      sent++;
      if (await Promise.race([over, new Promise<false>((resolve) => setTimeout(resolve, 200, false))])) break;
    }
    await slow.send('y'.repeat(1000 - sent));
    expect((await slow.answer()).json()).toMatchObject({ size: 1000 });
    slow.close();
    // What the silent resumable one had sent is durable: it goes on from there.
    const head = await rawExchange(server.port, {
      head: `HEAD ${path} HTTP/1.1`,
      fields: fieldsOf(key, 'Tus-Resumable: 1.0.0'),
    });
    expect(head.headers['upload-offset']).toBe('400');
    await until('only the finished and the resumable one', async () => {
      const rows = await allTransfers(server.deps);
      return rows.length === 2 && server.deps.active.total === 0;
    });
  });

  it('a large one-shot upload that takes longer than its deadline → renewed as bytes come, and not swept away', async () => {
    const clock = shiftClock(server.deps);
    const { sweepOnce } = await import('../../server/usecases/sweep.ts');
    const { key } = await server.device();
    const connection = await RawConnection.open(server.port);
    await connection.head(POST, fieldsOf(key, 'Content-Length: 200000'));
    await connection.send(seededBytes(100_000));
    const version = async () => (await allTransfers(server.deps))[0]?.version ?? 0;
    await until('announced', async () => (await version()) > 0);
    for (let step = 1; step <= 5; step++) {
      clock.forward(25_000);
      await connection.send('x');
      await until('a later deadline', async () => (await version()) === step + 1);
      await sweepOnce(server.deps, { atStart: false });
    }
    await connection.send(seededBytes(99_995));
    expect((await connection.answer()).status).toBe(201);
    connection.close();
    await expectNothingHalfDone(server.deps, 1);
  });

  it('one whose process is gone (no news until the deadline) → swept, row and bytes', async () => {
    const clock = shiftClock(server.deps);
    const { sweepOnce } = await import('../../server/usecases/sweep.ts');
    const { key } = await server.device();
    const connection = await RawConnection.open(server.port);
    await connection.head(POST, fieldsOf(key, 'Content-Length: 200000'));
    await connection.send(seededBytes(100_000));
    await until('announced', async () => (await allTransfers(server.deps)).length === 1);
    clock.forward(61_000);
    await sweepOnce(server.deps, { atStart: false });
    expect(await allTransfers(server.deps)).toEqual([]);
    await connection.send(seededBytes(100_000));
    const answer = await connection.answer();
    expect([answer.status, answer.json()['code']]).toEqual([503, 'storage_unavailable']);
    connection.close();
    await expectNothingHalfDone(server.deps, 0);
  });
});

async function restarted(env: Record<string, string>): Promise<TestServer> {
  return server.restart(env);
}

describe('the quota of an account', () => {
  it('declared, undeclared, together and resumable → 507 with nothing left; within it again after a burn', async () => {
    const { key } = await server.device();
    const { accountId } = server.operator;
    const account = await server.deps.store.get('accounts', { id: accountId });
    if (account === null) throw new Error('expected an account');
    await server.deps.store.commit([
      {
        kind: 'update',
        table: 'accounts',
        expectVersion: account.version,
        row: { ...account, settings: { quota_bytes: 200_000 }, version: account.version + 1 },
      },
    ]);
    const first = await send(key, seededBytes(150_000));
    expect(first.status).toBe(201);
    const over = async (answer: RawAnswer) =>
      expect([answer.status, answer.json()['code']]).toEqual([507, 'quota_exceeded']);
    await over(await send(key, seededBytes(50_001)));
    const chunk = seededBytes(60_000);
    await over(
      await rawExchange(server.port, {
        head: POST,
        fields: fieldsOf(key, 'Transfer-Encoding: chunked'),
        body: Buffer.concat([Buffer.from('ea60\r\n'), chunk, Buffer.from('\r\n0\r\n\r\n')]),
      }),
    );
    const tus = (size: string) =>
      rawExchange(server.port, {
        head: 'POST /v1/uploads HTTP/1.1',
        fields: fieldsOf(key, 'Tus-Resumable: 1.0.0', size),
      });
    await over(await tus('Upload-Length: 50001'));
    await expectNothingHalfDone(server.deps, 1);
    // Two that fit alone but not together: what the first announced is taken.
    expect((await tus('Upload-Length: 40000')).status).toBe(201);
    await over(await send(key, seededBytes(10_001)));
    expect((await send(key, seededBytes(10_000))).status).toBe(201);
    const burnt = await rawExchange(server.port, {
      head: `DELETE /v1/transfers/${first.json()['id']} HTTP/1.1`,
      fields: fieldsOf(key),
    });
    expect(burnt.status).toBe(200);
    expect((await send(key, seededBytes(50_001))).status).toBe(201);
  });
});
