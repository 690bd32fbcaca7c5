import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTransport, type LeasedReadings, nodeFileSystem, type SpoolFileSystem } from '#sdk/node';
import { until } from '../../test/support/until.ts';
import type { Delivery } from '../broker/message.ts';
import { batchFiles } from './batch-files.ts';
import { decodeEnvelope, encodeEnvelope, messageDigest } from './envelope.ts';
import { Repeats } from './repeats.ts';
import { Uplink } from './uplink.ts';

let folder: string;
let dropped: [string, number][];
let returned: [string, number][];
let uplink: Uplink | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-uplink-'));
  dropped = [];
  returned = [];
});
afterEach(async () => {
  await uplink?.close();
  uplink = null;
  await rm(folder, { recursive: true, force: true });
});

/** An uplink whose server is not there: nothing leaves the disk. */
function open(
  options: { spoolBytesMax?: number; whenFull?: 'block' | 'drop-oldest'; fileSystem?: SpoolFileSystem } = {},
) {
  const { fileSystem, ...settings } = options;
  return Uplink.open({
    folder,
    base: new URL('http://127.0.0.1:1'),
    transport: createTransport({ proxy: null }),
    gatewayKey: () => 'ab'.repeat(32),
    settings,
    ...(fileSystem === undefined ? {} : { fileSystem }),
    events: {
      sent: async () => {},
      dropped: (_device, reason, readings) => void dropped.push([reason, readings]),
      returned: (_device, reason, readings) => void returned.push([reason, readings]),
      warn: () => {},
      retrying: () => {},
    },
  });
}

const message = (payload: string, delivery: Partial<Delivery> | null = null) => ({
  device: 'pump',
  channel: 't',
  payload: Buffer.from(payload),
  delivery: delivery === null ? null : { session: 's', packetId: 1, dup: false, ...delivery },
});

describe('uplink', () => {
  test('a repeat: on the next connection, after a restart, while the first is being written → taken once', async () => {
    uplink = await open();
    const first = uplink.accept(message('x', { packetId: 7 }));
    const again = uplink.accept(message('x', { packetId: 7, dup: true }));
    expect(await first).toMatchObject({ kept: true, repeat: false });
    expect(await again).toEqual({ kept: true, repeat: true });
    uplink.connected('pump', 's');
    expect(await uplink.accept(message('x', { packetId: 7, dup: true }))).toMatchObject({ repeat: true });
    await uplink.close();
    uplink = await open();
    uplink.connected('pump', 's');
    expect(await uplink.accept(message('x', { packetId: 7, dup: true }))).toMatchObject({ repeat: true });
    expect(uplink.stats().backlogReadings).toBe(1);
  });

  test('the file of repeats is lost or damaged → what still lies in the spool tells', async () => {
    uplink = await open();
    await uplink.accept(message('x', { packetId: 9 }));
    await uplink.close();
    await writeFile(join(folder, 'pump/repeats.json'), '{"version":1,"sess');
    uplink = await open();
    uplink.connected('pump', 's');
    expect(await uplink.accept(message('x', { packetId: 9, dup: true }))).toMatchObject({ repeat: true });
  });

  test('not a repeat: without DUP, other content, another session, two connections ago → taken', async () => {
    uplink = await open();
    await uplink.accept(message('x', { packetId: 7 }));
    expect(await uplink.accept(message('x', { packetId: 7 }))).toMatchObject({ repeat: false });
    expect(await uplink.accept(message('y', { packetId: 7, dup: true }))).toMatchObject({ repeat: false });
    expect(await uplink.accept(message('y', { packetId: 7, dup: true, session: 'other' }))).toMatchObject({
      repeat: false,
    });
    uplink.connected('pump', 's');
    uplink.connected('pump', 's');
    expect(await uplink.accept(message('y', { packetId: 7, dup: true }))).toMatchObject({ repeat: false });
    expect(uplink.stats().backlogReadings).toBe(5);
  });

  test('no room, block → the publisher waits; drop-oldest → the oldest are counted', async () => {
    uplink = await open({ spoolBytesMax: 2_200_000 });
    const outcomes: string[] = [];
    const waiting = Array.from({ length: 40 }, (_, i) =>
      uplink?.accept(message('z'.repeat(100_000), { packetId: i + 1 })).then((accepted) => {
        outcomes.push(accepted.kept ? 'kept' : accepted.reason);
      }),
    );
    await until('what there is room for', () => (uplink?.stats().spoolBytes ?? 0) > 900_000);
    expect(outcomes.filter((outcome) => outcome !== 'kept')).toEqual([]);
    expect(outcomes.length).toBeLessThan(25);
    await uplink.close();
    await Promise.all(waiting);
    // Those that waited were refused and stay with their sender; nothing is lost without a reason.
    expect(new Set(outcomes)).toEqual(new Set(['kept', 'closed']));
    expect(outcomes.filter((outcome) => outcome === 'closed')).toHaveLength(returned.length);
    uplink = await open({ spoolBytesMax: 2_200_000, whenFull: 'drop-oldest' });
    for (let i = 0; i < 30; i++) await uplink.accept(message('z'.repeat(100_000), { packetId: i + 1 }));
    expect(dropped.some(([reason]) => reason === 'evicted')).toBe(true);
  });

  test('the disk refuses → not kept, the sender of QoS 1 has it still; a repeat after that is taken', async () => {
    let broken = true;
    const fileSystem: SpoolFileSystem = {
      ...nodeFileSystem,
      async sync(handle) {
        if (broken) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        await nodeFileSystem.sync(handle);
      },
    };
    uplink = await open({ fileSystem });
    expect(await uplink.accept(message('x', { packetId: 3 }))).toMatchObject({ kept: false });
    expect(returned).toHaveLength(1);
    broken = false;
    let last = await uplink.accept(message('x', { packetId: 3, dup: true }));
    // The spool holds back a moment after a fault.
    for (let i = 0; i < 200 && !last.kept; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      last = await uplink.accept(message('x', { packetId: 3, dup: true }));
    }
    expect(last).toMatchObject({ kept: true, repeat: false });
  });

  test('more devices than allowed → refused, and counted where nobody else has it', async () => {
    uplink = await Uplink.open({
      folder,
      base: new URL('http://127.0.0.1:1'),
      transport: createTransport({ proxy: null }),
      gatewayKey: () => 'ab'.repeat(32),
      devicesMax: 1,
      events: {
        sent: async () => {},
        dropped: (_device, reason, readings) => void dropped.push([reason, readings]),
        returned: () => {},
        warn: () => {},
        retrying: () => {},
      },
    });
    expect(await uplink.accept(message('x'))).toMatchObject({ kept: true });
    expect(await uplink.accept({ ...message('x'), device: 'other' })).toEqual({ kept: false, reason: 'storage_fault' });
    expect(dropped).toEqual([['storage_fault', 1]]);
  });
});

describe('envelope', () => {
  test('any channel, session and payload → the same again; what is none → null', () => {
    const envelope = { channel: 'a/é', session: '01020304', packetId: 65_535, payload: Buffer.from([0, 255, 10]) };
    expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual(envelope);
    expect(decodeEnvelope(encodeEnvelope({ ...envelope, session: null, packetId: 0 }))).toMatchObject({
      session: null,
    });
    for (const bytes of [[], [2, 0], [1, 9, 1], [1, 0, 0, 0, 0, 0, 0]])
      expect(decodeEnvelope(Uint8Array.from(bytes))).toBeNull();
    expect(messageDigest('a', Buffer.from('bc'))).not.toBe(messageDigest('ab', Buffer.from('c')));
  });
});

describe('batch files', () => {
  const lease = (payloads: [string, Uint8Array][]): LeasedReadings => ({
    lane: 1,
    spool: '0011223344556677',
    boot: 2,
    first: 10,
    last: 9 + payloads.length,
    random: 'ab'.repeat(16),
    resumed: false,
    readings: payloads.map(([channel, payload], i) => ({
      bytes: encodeEnvelope({ channel, session: null, packetId: 0, payload }),
      sequence: 10 + i,
      boot: 2,
      monotonicMs: 5.4 + i,
      wallMs: 1_800_000_000_000,
      trust: i === 0 ? ('none' as const) : ('estimated' as const),
    })),
  });

  test('channels → a file each, every line JSON; numbers digit for digit, bytes as base64; twice → the same bytes and keys', async () => {
    const taken = lease([
      ['t', Buffer.from('21.50')],
      ['p', Buffer.from('{"a":\r\n 12345678901234567890}')],
      ['t', Buffer.from('not "json"\n')],
      ['t', Buffer.from([255, 0])],
    ]);
    const files = await batchFiles(taken, 'pump');
    expect(files.map(({ channel, readings, filename }) => [channel, readings, filename])).toEqual([
      ['t', 3, 'pump-t-10-13.ndjson.gz'],
      ['p', 1, 'pump-p-11-11.ndjson.gz'],
    ]);
    const lines = files.flatMap(({ bytes }) => gunzipSync(bytes).toString().trimEnd().split('\n'));
    expect(lines.every((line) => typeof JSON.parse(line) === 'object')).toBe(true);
    expect(lines[0]).toBe('{"sequence":10,"boot":2,"monotonic_ms":5,"wall_ms":null,"trust":"none","json":21.50}');
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ text: 'not "json"\n' });
    expect(JSON.parse(lines[2] ?? '')).toMatchObject({ base64: '/wA=' });
    expect(lines[3]).toContain('"json":{"a":  12345678901234567890}');
    expect(await batchFiles(taken, 'pump')).toEqual(files);
    expect(new Set(files.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2);
    for (const { note } of files) expect(note.length).toBeLessThan(1000);
  });
});

test('repeats: a repeat that comes once more on the connection after → still known', () => {
  const repeats = new Repeats();
  const kept = Promise.resolve({ kept: true as const, repeat: false });
  repeats.note('s', 1, 'd', kept);
  for (let connection = 0; connection < 5; connection++) {
    repeats.connected('s');
    const found = repeats.find('s', 1, 'd');
    expect(found).not.toBeNull();
    repeats.note('s', 1, 'd', kept);
  }
  expect(repeats.record()).toEqual({ s: [[1, 'd']] });
});

test('the link journal: lines of one moment, a file of 0600 → all there', async () => {
  const { openLinkJournal } = await import('./links.ts');
  const path = join(folder, 'links.jsonl');
  const journal = await openLinkJournal(path);
  const link = { id: 't', url: 'http://x/get/y', state: 'ready', expiresAt: null, sizeBytes: 1, sha256: null };
  const file = {
    filename: 'f',
    contentType: '',
    note: '',
    idempotencyKey: '',
    channel: 'c',
    readings: 1,
    bytes: Buffer.alloc(0),
  };
  await Promise.all(Array.from({ length: 50 }, (_, i) => journal.add('pump', file, { ...link, id: `t${i}` })));
  await journal.close();
  const ids = (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).id);
  expect(ids).toEqual(Array.from({ length: 50 }, (_, i) => `t${i}`));
});
