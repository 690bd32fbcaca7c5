import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ClientOptions, FuselinkClient } from '../index.ts';
import { createClient } from '../index.ts';
import { METRICS } from '../metrics.ts';
import type { FakeRelay } from '../testing/fake-relay.ts';
import { fakeRelay } from '../testing/fake-relay.ts';

let relay: FakeRelay;
let folder: string;
const clients: FuselinkClient[] = [];

beforeEach(async () => {
  relay = await fakeRelay();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-readings-'));
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

function client(over: Partial<ClientOptions> = {}): FuselinkClient {
  const made = createClient({ url: relay.url, key: 'good-key', device: 'pump', stateFolder: folder, ...over });
  clients.push(made);
  return made;
}

/** Every reading the relay holds, in the order of their files. */
function held(): string[] {
  return relay.finished().flatMap((one) => {
    const bytes = relay.content(one);
    const text = one.filename.endsWith('.gz') ? gunzipSync(bytes).toString() : bytes.toString();
    return text.split('\n').filter((line) => line !== '');
  });
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => String(from + i));

describe('record and flush', () => {
  test('record: objects, text, bytes → one gzipped NDJSON file with its manifest as note', async () => {
    const one = client({ readings: { recipient: 'ops@example.com' } });
    const batches: { readings: number; lane: number; url: string | null }[] = [];
    one.on('batch', (batch) => batches.push(batch));
    expect(await one.record({ t: 21.5 })).toMatchObject({ kept: true, lane: 1, sequence: 1 });
    await one.record('"text"');
    await one.record(Buffer.from('3'));
    await one.flush();
    expect(held()).toEqual(['{"t":21.5}', '"text"', '3']);
    const [file] = relay.finished();
    expect(file).toMatchObject({ filename: 'pump-1-3.ndjson.gz', recipient: 'ops@example.com', ttl: '604800' });
    expect(JSON.parse(file?.note ?? '')).toMatchObject({
      device: 'pump',
      count: 3,
      first_sequence: 1,
      last_sequence: 3,
      missing: 0,
    });
    expect(batches).toMatchObject([{ readings: 3, lane: 1, url: expect.stringContaining('/get/') }]);
  });

  test('record: csv with its header, raw → as the format says', async () => {
    const csv = client({ readings: { format: 'csv', csvHeader: 'a,b', gzip: false } });
    await csv.record([1, 'x,y']);
    await csv.flush();
    expect(held()).toEqual(['a,b', '1,"x,y"']);
    const raw = client({ readings: { format: 'raw', gzip: false, folder: join(folder, 'raw') } });
    await raw.record(Buffer.from([1, 2]));
    await raw.record(Buffer.from([10, 3]));
    await raw.flush();
    expect(relay.content(relay.finished()[1] as (typeof relay.held)[0])).toEqual(Buffer.from([1, 2, 10, 3]));
  });

  test.each([
    ['ndjson', 'two\nlines'],
    ['ndjson', ''],
    ['ndjson', Buffer.alloc(262_145, 65)],
    ['raw', { a: 1 }],
    ['ndjson', undefined as unknown as string],
  ] as const)('record: %s cannot hold %j → reading_invalid, nothing kept', async (format, value) => {
    const one = client({ readings: { format } });
    await expect(one.record(value as string)).rejects.toMatchObject({ code: 'reading_invalid' });
    await one.flush();
    expect(relay.requests).toEqual([]);
  });

  test('record: enough by count → sent without a flush; lane 0 → sent at once', async () => {
    const one = client({ readings: { countMax: 5, ageMsMax: 3_600_000 } });
    const sent = () => new Promise<{ readings: number; lane: number }>((resolve) => one.on('batch', resolve));
    const byCount = sent();
    for (const text of numbers(5)) await one.record(text);
    expect(await byCount).toMatchObject({ readings: 5, lane: 1 });
    const atOnce = sent();
    await one.record('proof', { lane: 0 });
    expect(await atOnce).toMatchObject({ readings: 1, lane: 0 });
  });

  test('record: a steady trickle while a file is under way → waits for company, no file for each reading', async () => {
    const one = client({ readings: { countMax: 3, ageMsMax: 3_600_000 } });
    let gate = () => {};
    const open = new Promise<void>((resolve) => {
      gate = resolve;
    });
    relay.faults.push({ on: () => true, run: () => open.then(() => false) });
    const batch = new Promise((resolve) => one.on('batch', resolve));
    for (const text of numbers(5)) await one.record(text);
    gate();
    await batch;
    await one.flush();
    expect(relay.finished().length).toBeLessThanOrEqual(2);
    expect(held()).toEqual(numbers(5));
  });

  test('record: options that cannot be → option_invalid; another process has the spool → spool_in_use', async () => {
    expect(() => client({ readings: { countMax: 0 } })).toThrow(expect.objectContaining({ code: 'option_invalid' }));
    await expect(client({ stateFolder: null }).record('x')).rejects.toMatchObject({ code: 'option_invalid' });
    await expect(client({ readings: { folder: join(folder, 'b') } }).record('x', { lane: 5 })).rejects.toMatchObject({
      code: 'option_invalid',
    });
    await writeFile(join(folder, 'file'), '');
    const waiting = client({ stateFolder: join(folder, 'file'), readings: {} });
    expect(await new Promise((resolve) => waiting.on('warning', resolve))).toMatchObject({ code: 'spool_folder' });
    await expect(client({ stateFolder: join(folder, 'file') }).record('x')).rejects.toMatchObject({
      code: 'spool_folder',
    });
  });
});

describe('what breaks', () => {
  test('record: answer lost, connection cut → each reading once', async () => {
    const one = client({ readings: { gzip: false } });
    relay.loseAnswers.push((request) => request.method === 'POST');
    for (const text of numbers(200)) await one.record(text);
    await one.flush();
    expect(held()).toEqual(numbers(200));
  });

  test('record: stopped while a batch is under way, started again → the same file under the same key, each reading once', async () => {
    const first = client();
    for (const text of numbers(100)) await first.record(text);
    // It is stored, but nobody hears of it.
    relay.faults.push({
      on: () => true,
      run: async () => {
        relay.loseAnswers.push(() => true);
        return false;
      },
    });
    const flushing = first.flush();
    flushing.catch(() => {});
    await new Promise<void>((resolve) => first.on('retrying', () => resolve()));
    await first.close();
    await expect(flushing).rejects.toMatchObject({ code: 'closed' });
    const second = client({ readings: {} });
    for (const text of numbers(10, 100)) await second.record(text);
    await second.flush();
    expect(held()).toEqual(numbers(110));
    const keys = relay.headers.map((headers) => headers['idempotency-key']).filter((key) => key !== undefined);
    expect(new Set(keys).size).toBe(2);
  });

  test('record: server away while recording, process ended → all there after the next start, without a call', async () => {
    const url = relay.url;
    await relay.close();
    const first = client({ url });
    for (const text of numbers(50)) expect((await first.record(text)).kept).toBe(true);
    await first.close();
    relay = await fakeRelay();
    const second = client({ readings: {} });
    const batch = new Promise((resolve) => second.on('batch', resolve));
    await batch;
    expect(held()).toEqual(numbers(50));
  });

  test('record: key refused → readings stay, sent when the key is right', async () => {
    let key = 'wrong-key';
    const one = client({ key: () => key, readings: {} });
    const refused = new Promise((resolve) => one.on('credentialRefused', resolve));
    await one.record('a');
    const flushing = one.flush();
    flushing.catch(() => {});
    expect(await refused).toMatchObject({ code: 'key_unknown' });
    expect(held()).toEqual([]);
    await one.close();
    await expect(flushing).rejects.toMatchObject({ code: 'closed' });
    key = 'good-key';
    await client({ readings: {} }).flush();
    expect(held()).toEqual(['a']);
  });

  test('record: a batch the server will not take as it is → kept and told, never dropped', async () => {
    relay.faults.push({
      on: () => true,
      run: ({ response }) => {
        response.writeHead(400, { 'Content-Type': 'application/problem+json' });
        response.end(JSON.stringify({ code: 'invalid_field', status: 400, detail: 'recipient' }));
        return true;
      },
    });
    const one = client({ readings: { recipient: 'x' } });
    const warned = new Promise<{ code: string }>((resolve) => one.on('warning', resolve));
    await one.record('a');
    const flushing = one.flush();
    flushing.catch(() => {});
    expect(await warned).toMatchObject({ code: 'batch_refused' });
    await one.close();
    await client({ readings: {} }).flush();
    expect(held()).toEqual(['a']);
  });

  test('record: packed otherwise before the crash → sent under another key, told as a possible duplicate', async () => {
    const first = client({ readings: { gzip: true } });
    await first.record('a');
    relay.loseAnswers.push(
      () => true,
      () => true,
      () => true,
    );
    first.flush().catch(() => {});
    await new Promise<void>((resolve) => first.on('retrying', () => resolve()));
    await first.close();
    relay.loseAnswers.length = 0;
    const second = client({ readings: { gzip: false } });
    const warnings: string[] = [];
    second.on('warning', ({ code }) => warnings.push(code));
    await second.flush();
    expect(warnings).toEqual(['possible_duplicate']);
    expect(held().filter((line) => line === 'a').length).toBeGreaterThanOrEqual(1);
  });

  test('flush: stopped by its signal → aborted, and the readings still go out', async () => {
    const one = client({ readings: {} });
    let gate = () => {};
    const open = new Promise<void>((resolve) => {
      gate = resolve;
    });
    relay.faults.push({ on: () => true, run: () => open.then(() => false) });
    await one.record('a');
    const stop = new AbortController();
    const flushing = one.flush({ signal: stop.signal });
    stop.abort();
    await expect(flushing).rejects.toMatchObject({ code: 'aborted' });
    gate();
    await one.flush();
    expect(held()).toEqual(['a']);
  });
});

describe('metrics', () => {
  test('metrics: after work → OpenMetrics text with every family, ended by # EOF', async () => {
    const one = client({ readings: { gzip: false } });
    await one.record('abc');
    await one.flush();
    await one.send(Buffer.from('x'), { filename: 'x' });
    await one.send(join(folder, 'none')).catch(() => {});
    const text = one.metrics();
    for (const name of Object.keys(METRICS)) expect(text).toMatch(new RegExp(`# TYPE ${name} (counter|gauge)\n`));
    expect(text).toContain('# TYPE fuselink_spool_bytes gauge\n# UNIT fuselink_spool_bytes bytes\n');
    expect(text).toContain('# TYPE fuselink_sent_bytes counter\n');
    expect(text).toContain('fuselink_transfers_total 2\n');
    expect(text).toContain('fuselink_sent_bytes_total 5\n');
    expect(text).toContain('fuselink_readings_total{lane="1"} 1\n');
    expect(text).toContain('fuselink_readings_sent_total{lane="1"} 1\n');
    expect(text).toContain('fuselink_backlog_readings{lane="1"} 0\n');
    expect(text).toContain('fuselink_failures_total{code="source_missing"} 1\n');
    expect(text.endsWith('# EOF\n')).toBe(true);
    // Counters end in _total, units stand in names [OpenMetrics 1.0]; no line is in another form.
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (TYPE|HELP|UNIT) .+|# EOF|[a-z0-9_]+(\{[^}]*\})? [0-9.e+]+)$/);
    }
  });
});
