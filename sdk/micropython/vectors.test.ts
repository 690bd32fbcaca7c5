import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AnswerEvent, judge, type RequestKind } from '#sdk/core';
import { ERRORS, parseRotationTold } from '#sdk/protocol';
import { DEVICE_TABLE } from '../core/rotation/table.ts';
import { type Interpreter, literal, onEachInterpreter } from './testing/interpreters.ts';

const json = (path: string) => JSON.parse(readFileSync(join(import.meta.dirname, path), 'utf8'));

interface SlotVector {
  name: string;
  key_text: string;
  generation: number;
  base_hex: string;
  fingerprint_hex: string;
  record_hex: string;
}
const SLOTS = json('../core/credentials/vectors/slot-record.json') as SlotVector[];
interface Field {
  name: string;
  value: string;
}
/** From source, with the 4 KB that files are sent in; as .mpy a third less. More leaves no room for TLS without PSRAM. */
const HEAP_KB_MAX = 116;

const SIGNED = json('../../test/conformance/vectors/signed-requests.json') as {
  key: string;
  device_id: string;
  requests: {
    name: string;
    method: string;
    target: string;
    headers: Field[];
    body: string;
    nonce: string;
    content_digest: string;
    signature_input: string;
    signature: string;
  }[];
  answers: {
    name: string;
    status: number;
    headers: Field[];
    body: string;
    request: string;
    content_digest: string;
    signature_input: string;
    signature: string;
  }[];
  wrapped_offer: { key: string; wrapped: string };
  wrapped_link: { path: string; wrapped: string };
};
const WRAPS = json('../../test/conformance/vectors/key-wrap.json') as {
  unwrap: { name: string; wrapping_key: string; wrapped: string; key: string | null }[];
};

onEachInterpreter('the bytes and rules of the other clients', (open, micro) => {
  let python: Interpreter;
  const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));

  beforeAll(async () => {
    python = await open();
  });
  afterAll(() => python.close());

  test.each(SLOTS)('slot record: $name → the same bytes, both ways', async (vector) => {
    await python.run(`key = fuselink.parse_key(${literal(vector.key_text)})`);
    expect(await value('[key.fingerprint, key.text(), repr(key)]')).toEqual([
      vector.fingerprint_hex,
      vector.key_text,
      `<key ${vector.fingerprint_hex}>`,
    ]);
    await python.run(`record = fuselink.Record(${vector.generation}, ${literal(vector.base_hex)}, key)`);
    expect(await value('fuselink.hexed(record.encode())')).toBe(vector.record_hex);
    await python.run(`read = fuselink.decode_record(testkit.binascii.unhexlify(${literal(vector.record_hex)}))`);
    expect(await value('[read.generation, read.base, read.fingerprint, read.key.text()]')).toEqual([
      vector.generation,
      vector.base_hex,
      vector.fingerprint_hex,
      vector.key_text,
    ]);
  });

  test('slot record: every single bit flipped, cut short, one byte more → not a record', async () => {
    const [vector] = SLOTS;
    const found = await value(`testkit.flipped(${literal(vector?.record_hex)})`);
    expect(found).toEqual({ tried: 60 * 8 + 60 + 1, taken: 0 });
  });

  test.each(WRAPS.unwrap)('key unwrap: $name', async ({ wrapping_key, wrapped, key }) => {
    const hex = (text: string) => `testkit.binascii.unhexlify(${literal(text)})`;
    await python.run(`inside = fuselink.unwrap_key(${hex(wrapping_key)}, ${hex(wrapped)})`);
    expect(await value('inside and fuselink.hexed(inside)')).toBe(key);
  });

  test.each(WRAPS.unwrap.filter(({ key }) => key !== null))('key wrap: $name → the same bytes', async (vector) => {
    const hex = (text: string | null) => `testkit.binascii.unhexlify(${literal(text)})`;
    expect(await value(`fuselink.hexed(fuselink.wrap_key(${hex(vector.wrapping_key)}, ${hex(vector.key)}))`)).toBe(
      vector.wrapped,
    );
  });

  test.each(SIGNED.requests)('signed request: $name → the same digest, input and signature', async (vector) => {
    await python.run(`key = fuselink.parse_key(${literal(SIGNED.key)})`);
    const fields = vector.headers.map(({ name, value }) => [name, value]);
    const words = [SIGNED.device_id, vector.nonce, vector.method, vector.target].map(literal).join(', ');
    const body = `testkit.binascii.unhexlify(${literal(vector.body)})`;
    const headers = `[tuple(one) for one in ${literal(fields)}]`;
    const signed = (await value(`fuselink.sign_request(key, ${words}, ${headers}, ${body})`)) as [string, string][];
    expect(Object.fromEntries(signed.map(([name, text]) => [name.toLowerCase(), text]))).toMatchObject({
      'content-digest': vector.content_digest,
      'signature-input': vector.signature_input,
      signature: vector.signature,
    });
  });

  /** What is taken of an answer: its fields and link, or null. */
  const taken = (vector: (typeof SIGNED.answers)[number], change: (headers: Record<string, string>) => void) => {
    const request = SIGNED.requests.find(({ name }) => name === vector.request);
    const headers: Record<string, string> = Object.fromEntries(vector.headers.map(({ name, value: v }) => [name, v]));
    headers['content-digest'] = vector.content_digest;
    headers['signature-input'] = vector.signature_input;
    headers['signature'] = vector.signature;
    change(headers);
    const body = `testkit.binascii.unhexlify(${literal(headers['body'] ?? vector.body)})`;
    const answer = `fuselink.Answer(${Number(headers['status'] ?? vector.status)}, ${literal(headers)}, ${body})`;
    const signature = literal(headers['request-signature'] ?? request?.signature);
    return value(`testkit.taken(${answer}, key, ${signature})`);
  };

  test.each(SIGNED.answers)('signed answer: $name → taken, with what is signed and nothing else', async (vector) => {
    await python.run(`key = fuselink.parse_key(${literal(SIGNED.key)})`);
    const wrapped = vector.headers.some(({ name }) => name === 'fuselink-wrapped-link');
    const found = await taken(vector, (headers) => {
      headers['fuselink-url'] = 'http://elsewhere/';
    });
    const signed = Object.fromEntries(vector.headers.map(({ name, value: v }) => [name, v]));
    expect(found).toEqual({
      headers: { 'content-digest': vector.content_digest, ...signed },
      link: wrapped ? SIGNED.wrapped_link.path : null,
    });
  });

  test.each(SIGNED.answers)('signed answer: $name, altered in any part → as if none had come', async (vector) => {
    await python.run(`key = fuselink.parse_key(${literal(SIGNED.key)})`);
    const changes: ((headers: Record<string, string>) => void)[] = [
      (headers) => Object.assign(headers, { status: vector.status === 201 ? '200' : '201' }),
      (headers) => Object.assign(headers, { body: `${vector.body}20` }),
      (headers) => Object.assign(headers, { 'request-signature': 'fl=:AAAA:' }),
      (headers) => delete headers['signature'],
      (headers) => delete headers['signature-input'],
      (headers) => delete headers['content-digest'],
      (headers) => Object.assign(headers, { 'signature-input': headers['signature-input']?.replace(' "@status"', '') }),
      ...vector.headers.map(({ name }) => (headers: Record<string, string>) => {
        headers[name] = `${headers[name]}x`;
      }),
      ...vector.headers.map(
        ({ name }) =>
          (headers: Record<string, string>) =>
            delete headers[name],
      ),
    ];
    for (const change of changes) expect(await taken(vector, change), String(change)).toBeNull();
  });

  test('offer: wrapped for the device → the key inside', async () => {
    await python.run(`key = fuselink.parse_key(${literal(SIGNED.key)})`);
    const wrapped = `testkit.binascii.unhexlify(${literal(SIGNED.wrapped_offer.wrapped)})`;
    const unwrap = `fuselink.unwrap_key(fuselink.device_key(key, b"fuselink wrap v1"), ${wrapped})`;
    expect(await value(`fuselink.hexed(${unwrap})`)).toBe(SIGNED.wrapped_offer.key);
  });

  test('rotation table: row by row the one of sdk/core', async () => {
    const rows = (await value('list(fuselink.DEVICE_TABLE)')) as string[];
    expect(rows.length).toBe(DEVICE_TABLE.length);
    for (const [index, row] of DEVICE_TABLE.entries()) expect(rows[index], `row ${index}`).toBe(row);
  });

  test('verdict: every request × every code and status → the one of sdk/core', async () => {
    const kinds: RequestKind[] = ['one-shot', 'create', 'probe', 'patch', 'remove'];
    const codes = [null, 'something_new', ...Object.keys(ERRORS)];
    const statuses = [200, 201, 204, 302, 400, 401, 403, 404, 408, 409, 410, 413, 423, 425, 429, 460, 500, 502, 507];
    const cases = kinds.flatMap((kind) =>
      codes.flatMap((code) =>
        (code === null ? statuses : [401, 500, ERRORS[code as keyof typeof ERRORS]?.status ?? 418]).flatMap((status) =>
          [true, false].map((proven) => ({ kind, status, code, proven })),
        ),
      ),
    );
    const link = { id: 'x', url: null, state: 'ready', expiresAt: null, sizeBytes: 1, sha256: null };
    const expected = cases.map(({ kind, status, code, proven }) => {
      const said = { status, code, link: proven ? link : null, location: proven ? '/x' : null, offsetBytes: null };
      return judge(kind, said as AnswerEvent);
    });
    const given = cases.map(({ kind, status, code, proven }) => [kind, status, code, proven]);
    expect(await value(`[fuselink.judge(*one) for one in ${literal(given)}]`)).toEqual(expected);
  });

  test.each([
    'settled;gen=1, wanted;gen=2;base=0011223344556677;source=self;recovery',
    'recoverable;gen=3;base=0011223344556677',
    'wanted;gen=4294967296;base=0011223344556677;source=self',
    'wanted;gen=2;base=00112233445566;source=self, settled;gen=7',
    'wanted;gen=2;base=0011223344556677;source=magic',
    'wanted; gen=2; base=0011223344556677; source=offer; recovery ,, settled; gen=',
    '',
    'news;gen=1',
  ])('Fuselink-Rotation: "%s" → what the TypeScript reads in it', async (text) => {
    const told = (await value(`fuselink.parse_told(${literal(text)})`)) as [string, Record<string, unknown>][];
    expect(told.map(([kind, said]) => ({ kind, ...said }))).toEqual(parseRotationTold(text));
  });

  test('Retry-After as a date: counted from the answer’s own Date', async () => {
    const dates = ['Thu, 01 Jan 1970 00:00:00 GMT', 'Sun, 29 Feb 2032 23:59:59 GMT', 'Sat, 28 Nov 2026 17:36:26 GMT'];
    const seconds = await value(`[fuselink.http_seconds(text) for text in ${literal(dates)}]`);
    expect(seconds).toEqual(dates.map((text) => Date.parse(text) / 1000));
    expect(await value(`[fuselink._rfc3339(s) for s in ${literal(seconds)}]`)).toEqual(
      dates.map((text) => new Date(text).toISOString().replace('.000', '')),
    );
    expect(await value('[fuselink.http_seconds(x) for x in ("", "soon", "Sat, 28 Foo 2026 17:36:26 GMT")]')).toEqual([
      null,
      null,
      null,
    ]);
  });

  test('back-off: full jitter stays between its floor and its cap, however many attempts', async () => {
    const spread = await value(
      '[fuselink.full_jitter(n, lambda below: x % below, 100, 1000, 120000) for n in range(40) for x in (0, 7, 2**31)]',
    );
    for (const [index, ms] of (spread as number[]).entries()) {
      expect(ms).toBeGreaterThanOrEqual(100);
      expect(ms).toBeLessThanOrEqual(Math.min(120_000, 1000 * 2 ** Math.floor(index / 3)));
    }
  });

  test.runIf(micro)('heap of a board that the module holds → within its budget, and what the page says', (context) => {
    context.skip(python.heapBytes === undefined, 'measured where the board is 32-bit');
    const kilobytes = Math.round((python.heapBytes ?? 0) / 1024);
    console.info(`fuselink.py from source: ${kilobytes} KB of heap`);
    expect(kilobytes).toBeLessThanOrEqual(HEAP_KB_MAX);
    const page = readFileSync(join(import.meta.dirname, '../profiles/esp32-micropython.md'), 'utf8');
    const said = Number(/and (\d+) KB from source/.exec(page)?.[1]);
    expect(Math.abs(said - kilobytes)).toBeLessThanOrEqual(5);
  });
});
