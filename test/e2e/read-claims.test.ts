import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Answer,
  AnswerReader,
  dial,
  exchange,
  getHead,
  type ReadServer,
  reset,
  sha256,
  startReadServer,
} from './read-kit.ts';

let server: ReadServer;
beforeAll(async () => {
  server = await startReadServer();
});
afterAll(() => server.close());

const json = (answer: Answer) => JSON.parse(answer.body.toString());
const code = (answer: Answer) => `${answer.status} ${answer.body.length === 0 ? '' : json(answer).code}`;
const post = (url: string, path: string, body: object = {}, headers: Record<string, string> = {}) =>
  exchange(url, { method: 'POST', path: `${new URL(url).pathname}/${path}`, headers, body: JSON.stringify(body) });
const claim = async (url: string) => json(await post(url, 'claim')).claim as string;
const content = (url: string, claimText: string, headers: Record<string, string> = {}) =>
  exchange(url, { path: `${new URL(url).pathname}/content`, headers: { 'fuselink-claim': claimText, ...headers } });
const ack = (url: string, digest: string, claimText?: string) =>
  post(url, 'ack', { sha256: digest }, claimText === undefined ? {} : { 'fuselink-claim': claimText });

describe('claim, content, ack', () => {
  it('the three steps → the file, then burned by ack; a repeat of the ack is answered alike', async () => {
    const { url, id, bytes, sha256: digest } = await server.upload(300_000, { note: 'n' });
    const claimed = json(await post(url, 'claim'));
    expect(claimed).toMatchObject({
      filename: 'reading.bin',
      size: 300_000,
      sha256: digest,
      note: 'n',
      lease_seconds: 60,
    });
    const got = await content(url, claimed.claim);
    expect(got.status).toBe(200);
    expect(Buffer.compare(got.body, bytes)).toBe(0);
    expect((await server.receipt(id)).state).toBe('claimed');
    const burned = await ack(url, sha256(got.body), claimed.claim);
    expect(json(burned)).toMatchObject({ state: 'burned' });
    expect(json(await ack(url, digest, claimed.claim))).toEqual(json(burned));
    expect(code(await content(url, claimed.claim))).toBe('410 link_burned');
    expect(code(await post(url, 'claim'))).toBe('410 link_burned');
    expect(await server.receipt(id)).toMatchObject({ delivered_by: 'ack', attempts: 1, sha256: digest, size: 300_000 });
  });

  it('refusals: no claim, another claim, too early, wrong digest, no digest, leased → each its own, nothing burned', async () => {
    const { url, id, sha256: digest } = await server.upload(1_000);
    expect(code(await content(url, ''))).toBe('428 claim_required');
    expect(code(await content(url, 'made up'))).toBe('409 claim_unknown');
    expect(code(await ack(url, digest))).toBe('409 claim_unknown');
    const held = await claim(url);
    expect(code(await ack(url, digest, held))).toBe('409 ack_incomplete');
    await content(url, held);
    expect(code(await ack(url, 'f'.repeat(64), held))).toBe('422 ack_digest_mismatch');
    expect(code(await ack(url, 'short', held))).toBe('400 invalid_field');
    expect(code(await post(url, 'ack', {}, { 'fuselink-claim': held }))).toBe('400 invalid_field');
    const leased = await post(url, 'claim');
    expect(code(leased)).toBe('423 transfer_leased');
    expect(Number(leased.headers['retry-after'])).toBeGreaterThan(0);
    const plain = await exchange(url, {});
    expect(code(plain)).toBe('423 transfer_leased');
    expect((await server.receipt(id)).state).toBe('claimed');
  });

  it('Range, If-Range, suffix, beyond the end → 206 with the part, 200 with the whole, 416', async () => {
    const { url, bytes, sha256: digest } = await server.upload(200_000);
    const held = await claim(url);
    const whole = await content(url, held);
    const etag = whole.headers['etag'] ?? '';
    const part = await content(url, held, { range: 'bytes=150000-', 'if-range': etag });
    expect(part.status).toBe(206);
    expect(part.headers).toMatchObject({
      'content-range': 'bytes 150000-199999/200000',
      'content-length': '50000',
      etag,
      'repr-digest': `sha-256=:${Buffer.from(digest, 'hex').toString('base64')}:`,
    });
    expect(Buffer.compare(part.body, bytes.subarray(150_000))).toBe(0);
    const changed = await content(url, held, { range: 'bytes=150000-', 'if-range': '"another"' });
    expect([changed.status, changed.body.length]).toEqual([200, 200_000]);
    const tail = await content(url, held, { range: 'bytes=-10' });
    expect([tail.status, tail.headers['content-range']]).toEqual([206, 'bytes 199990-199999/200000']);
    const several = await content(url, held, { range: 'bytes=0-4,10-14' });
    expect([several.status, several.body.length]).toEqual([200, 200_000]);
    const beyond = await content(url, held, { range: 'bytes=200000-' });
    expect([code(beyond), beyond.headers['content-range']]).toEqual(['416 range_not_satisfiable', 'bytes */200000']);
  });

  it('several requests on one connection under a claim → served one after the other', async () => {
    const { url, bytes } = await server.upload(100_000);
    const held = await claim(url);
    const socket = await dial(url);
    const reader = new AnswerReader(socket);
    for (const [from, to] of [
      [0, 39_999],
      [40_000, 99_999],
    ] as const) {
      socket.write(
        `GET ${new URL(url).pathname}/content HTTP/1.1\r\nHost: x\r\nFuselink-Claim: ${held}\r\nRange: bytes=${from}-${to}\r\n\r\n`,
      );
      expect((await reader.head()).status).toBe(206);
      expect(Buffer.compare(await reader.bytes(to - from + 1), bytes.subarray(from, to + 1))).toBe(0);
    }
    socket.destroy();
    expect(code(await ack(url, sha256(bytes), held))).toBe('200 undefined');
  });

  it('a connection that dies under a claim: the rest on another, and the ack counts both', async () => {
    const { url, bytes } = await server.upload(8_000_000);
    const held = await claim(url);
    const socket = await dial(url);
    socket.write(`GET ${new URL(url).pathname}/content HTTP/1.1\r\nHost: x\r\nFuselink-Claim: ${held}\r\n\r\n`);
    const reader = new AnswerReader(socket);
    await reader.head();
    const first = await reader.bytes(3_000_000);
    reset(socket);
    const rest = await content(url, held, { range: 'bytes=3000000-' });
    const digest = sha256(Buffer.concat([first, rest.body]));
    expect(digest).toBe(sha256(bytes));
    expect(code(await ack(url, digest, held))).toBe('200 undefined');
  });
});

describe('races over real connections', () => {
  it('64 plain GETs at once, ten times → exactly one gets the bytes, 63 are told to wait or that it is gone', async () => {
    for (let round = 0; round < 10; round++) {
      const { url, id, bytes } = await server.upload(20_000);
      const answers = await Promise.all(Array.from({ length: 64 }, () => exchange(url, {})));
      const served = answers.filter(({ status }) => status === 200);
      expect(served).toHaveLength(1);
      expect(Buffer.compare(served[0]?.body ?? Buffer.alloc(0), bytes)).toBe(0);
      for (const answer of answers) expect([200, 410, 423]).toContain(answer.status);
      expect(await server.reaches(id, 'burned')).toMatchObject({ attempts: 1, bytes_served: 20_000 });
    }
  });
});

describe('burn: on-first-byte, attempts_max', () => {
  it('on-first-byte: a reader that is reset → gone all the same, as its sender asked', async () => {
    const { url, id } = await server.upload(5_000_000, { burn: 'on-first-byte' });
    const socket = await dial(url);
    socket.write(getHead(url));
    await new AnswerReader(socket).head();
    reset(socket);
    expect(await server.reaches(id, 'burned')).toMatchObject({ delivered_by: 'first-byte' });
    expect(code(await exchange(url, {}))).toBe('410 link_burned');
  });

  it('attempts_max 2 → held after two breaks, reopened by its owner, read', async () => {
    const { url, id, bytes } = await server.upload(5_000_000, { attempts_max: '2' });
    for (let i = 0; i < 2; i++) {
      const socket = await dial(url);
      socket.write(getHead(url));
      await new AnswerReader(socket).head();
      reset(socket);
      await server.settled(id);
    }
    expect(code(await exchange(url, {}))).toBe('423 transfer_held');
    expect(await server.receipt(id)).toMatchObject({ state: 'ready', held: true, attempts: 2 });
    const reopened = await exchange(server.url, {
      method: 'POST',
      path: `/v1/transfers/${id}/reopen`,
      headers: { authorization: `Bearer ${server.accountKey}` },
    });
    expect(json(reopened)).toMatchObject({ held: false });
    expect(Buffer.compare((await exchange(url, {})).body, bytes)).toBe(0);
    await server.reaches(id, 'burned');
  });
});

describe('behind a proxy', () => {
  it('a request that says it came through one → its close proves nothing: grace; a retry within it; then the ack', async () => {
    for (const name of ['x-forwarded-for', 'via', 'forwarded']) {
      const { url, id, bytes } = await server.upload(10_000);
      const through = { [name]: '1.1 proxy' };
      expect((await exchange(url, { headers: through })).status).toBe(200);
      expect((await server.settled(id)).state).toBe('claimed');
      expect(code(await exchange(url, { headers: { 'user-agent': 'another' } }))).toBe('423 transfer_leased');
      const again = await exchange(url, { headers: through });
      expect(Buffer.compare(again.body, bytes)).toBe(0);
      await server.settled(id);
      expect(code(await ack(url, sha256(bytes)))).toBe('200 undefined');
      expect(await server.receipt(id)).toMatchObject({ delivered_by: 'ack', attempts: 2 });
    }
  });

  it('FUSELINK_TRUST_PROXY: no close proves anything; the grace ends it', async () => {
    const proxied = await startReadServer({ env: { FUSELINK_TRUST_PROXY: 'true', FUSELINK_GRACE_SECONDS: '1' } });
    try {
      const { url, id } = await proxied.upload(10_000);
      await exchange(url, {});
      expect((await proxied.settled(id)).state).toBe('claimed');
      expect(await proxied.reaches(id, 'burned')).toMatchObject({ delivered_by: 'grace' });
      expect(code(await exchange(url, {}))).toBe('410 link_burned');
    } finally {
      await proxied.close();
    }
  });
});

describe('a server that restarts in the middle of a read', () => {
  it('stopped while a reader takes its time → nothing is lost: it goes on under a new claim, and acknowledges', async () => {
    let own = await startReadServer({ env: { FUSELINK_PUBLIC_URL: 'http://127.0.0.1' } });
    try {
      const { url, id, bytes } = await own.upload(8_000_000, { lease_seconds: '5' });
      const at = (address: string) => `${address}${new URL(url).pathname}`;
      const socket = await dial(own.url);
      socket.write(getHead(at(own.url)));
      const reader = new AnswerReader(socket);
      await reader.head();
      const first = await reader.bytes(2_000_000);
      const stopped = own.restart();
      reset(socket);
      own = await stopped;
      expect((await own.settled(id)).state).toBe('ready');
      const held = await claim(at(own.url));
      const rest = await content(at(own.url), held, { range: 'bytes=2000000-' });
      const digest = sha256(Buffer.concat([first, rest.body]));
      expect(digest).toBe(sha256(bytes));
      expect(code(await ack(at(own.url), digest, held))).toBe('200 undefined');
      expect(await own.receipt(id)).toMatchObject({ state: 'burned', attempts: 2 });
    } finally {
      await own.close();
    }
  });
});
