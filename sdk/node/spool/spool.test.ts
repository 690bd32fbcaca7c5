import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { spoolStorageContract } from '../../core/spool/spool.contract.ts';
import { READINGS_A_SEGMENT, writeBacklog } from '../testing/backlog.ts';
import type { LeasedReadings, OpenSpoolOptions, Spool, SpoolClock, SpoolNotice } from './index.ts';
import { fileSpoolStorage, nodeFileSystem, openSpool, SpoolError } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'fuselink-spool-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const freshFolder = () => join(root, `spool-${folders++}`);
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const textsOf = (batch: LeasedReadings | null) =>
  (batch?.readings ?? []).map((each) => Buffer.from(each.bytes).toString());
const ALL = { count: 1e9, bytes: 1e9 };
const EVERY: OpenSpoolOptions['lanes'] = [
  { lane: 0, whenFull: 'never-drop', sync: 'every', syncIntervalMs: 1000, bytesMax: 65536 },
  { lane: 1, whenFull: 'drop-oldest', sync: 'every', syncIntervalMs: 1000, bytesMax: 65536 },
];
const open = (folder: string, change: Partial<OpenSpoolOptions> = {}) =>
  openSpool({ folder, lanes: EVERY!, segmentBytesMax: 4096, ...change });
const drain = async (spool: Spool) => {
  const texts: string[] = [];
  for (let batch = await spool.take(1, ALL); batch; batch = await spool.take(1, ALL)) {
    texts.push(...textsOf(batch));
    spool.acknowledge(batch);
  }
  return texts;
};

spoolStorageContract('fileSpoolStorage', async () => {
  const folder = freshFolder();
  mkdirSync(folder);
  let storage = fileSpoolStorage(folder);
  return {
    storage,
    reopen: async () => {
      await storage.close();
      storage = fileSpoolStorage(folder);
      return storage;
    },
    close: () => storage.close(),
  };
});

test('spool: recorded concurrently, closed, opened → all there in order, taken, acknowledged, done with', async () => {
  const folder = freshFolder();
  const spool = open(folder);
  const outcomes = await Promise.all(Array.from({ length: 300 }, (_, i) => spool.record(bytes(`r${i}`))));
  expect(outcomes.every((outcome) => outcome.kept && outcome.durable)).toBe(true);
  await spool.close();
  const again = open(folder);
  expect([again.id, again.boot]).toEqual([spool.id, 2]);
  const batch = (await again.take(1, { count: 100, bytes: 1e6 }))!;
  expect(textsOf(batch)).toEqual(Array.from({ length: 100 }, (_, i) => `r${i}`));
  expect(batch).toMatchObject({
    first: 1,
    last: 100,
    boot: 2,
    resumed: false,
    random: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  again.acknowledge(batch);
  expect(await drain(again)).toEqual(Array.from({ length: 200 }, (_, i) => `r${i + 100}`));
  expect(again.stats().lanes[1]).toMatchObject({ backlog: 0, dropped: {} });
  await again.close();
});

test('group commit: a hundred concurrent records → a handful of syncs, not a hundred', async () => {
  let syncs = 0;
  const fileSystem = {
    ...nodeFileSystem,
    sync: (handle: Parameters<typeof nodeFileSystem.sync>[0]) => {
      syncs++;
      return nodeFileSystem.sync(handle);
    },
  };
  const spool = open(freshFolder(), { fileSystem, segmentBytesMax: 32768 });
  await spool.record(bytes('first'));
  const before = syncs;
  await Promise.all(Array.from({ length: 100 }, (_, i) => spool.record(bytes(`r${i}`))));
  expect(syncs - before).toBeLessThanOrEqual(2);
  await spool.close();
});

test('a batch taken and not acknowledged → the same again, under the same name, now and after a restart', async () => {
  const folder = freshFolder();
  const spool = open(folder);
  for (const text of ['a', 'b', 'c']) await spool.record(bytes(text));
  const batch = (await spool.take(1, { count: 2, bytes: 1e6 }))!;
  await spool.record(bytes('d'));
  const same = (await spool.take(1, ALL))!;
  expect(textsOf(same)).toEqual(['a', 'b']);
  await spool.close();
  const again = open(folder);
  const resumed = (await again.take(1, ALL))!;
  expect(textsOf(resumed)).toEqual(['a', 'b']);
  expect(resumed).toMatchObject({ boot: 1, first: 1, last: 2, random: batch.random, resumed: true });
  again.acknowledge(resumed);
  again.acknowledge(resumed);
  expect(await drain(again)).toEqual(['c', 'd']);
  again.acknowledge(batch);
  expect(again.stats().lanes[1]?.dropped).toEqual({});
  await again.close();
});

test('a reboot loop: what is taken together fits one batch, whatever the limits', async () => {
  const folder = freshFolder();
  for (let boot = 1; boot <= 6; boot++) {
    const spool = open(folder);
    await spool.record(bytes(`boot ${boot}`));
    await spool.close();
  }
  const spool = open(folder);
  const batch = (await spool.take(1, ALL))!;
  expect(batch.readings.map((reading) => reading.boot)).toEqual([1, 2, 3, 4]);
  spool.acknowledge(batch);
  expect(await drain(spool)).toEqual(['boot 5', 'boot 6']);
  await spool.close();
});

test('a batch given up → counted under its reason, told, and the next one comes', async () => {
  const notices: SpoolNotice[] = [];
  const spool = open(freshFolder(), { onNotice: (notice) => notices.push(notice) });
  for (const text of ['a', 'b', 'c']) await spool.record(bytes(text));
  spool.giveUp((await spool.take(1, { count: 2, bytes: 1e6 }))!, 'too_large');
  expect(await drain(spool)).toEqual(['c']);
  expect(spool.stats().lanes[1]?.dropped).toEqual({ too_large: 2 });
  expect(notices).toEqual([{ type: 'dropped', lane: 1, reason: 'too_large', readings: 2 }]);
  await spool.close();
});

test('a buffer that its caller fills again at once → what was recorded is what it held', async () => {
  const spool = open(freshFolder());
  const buffer = Buffer.from('first');
  const recorded = spool.record(buffer);
  buffer.fill(0);
  await recorded;
  expect(await drain(spool)).toEqual(['first']);
  await spool.close();
});

test('time: what the clock says and how far it is trusted → with each reading', async () => {
  const clock: SpoolClock = { monotonicMs: () => 1234.7, wallMs: () => 1_800_000_000_000, trust: () => 'trusted' };
  const spool = open(freshFolder(), { clock });
  await spool.record(bytes('a'));
  await spool.record(bytes('b'), { monotonicMs: 1000, wallMs: 5, trust: 'none' });
  const batch = (await spool.take(1, ALL))!;
  expect(batch.readings).toMatchObject([
    { sequence: 1, boot: 1, monotonicMs: 1234, wallMs: 1_800_000_000_000, trust: 'trusted' },
    { sequence: 2, boot: 1, monotonicMs: 1000, wallMs: 5, trust: 'none' },
  ]);
  await spool.close();
});

test('a sync that fails for good → records are refused as storage_fault, taking says spool_not_durable, closing ends', async () => {
  const folder = freshFolder();
  const spool = open(folder);
  await spool.record(bytes('a'));
  await spool.close();
  let nowMs = 0;
  // A clock that runs: the pauses between tries pass at once.
  const clock: SpoolClock = { monotonicMs: () => (nowMs += 2000), wallMs: () => 0, trust: () => 'none' };
  const fileSystem = {
    ...nodeFileSystem,
    sync: async () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })),
  };
  const broken = open(folder, { fileSystem, clock });
  expect(await broken.record(bytes('b'))).toEqual({ kept: false, lane: 1, reason: 'storage_fault' });
  await expect(broken.take(1, ALL)).rejects.toMatchObject({ code: 'spool_not_durable' });
  await broken.close();
  const mended = open(folder);
  expect((await drain(mended))[0]).toBe('a');
  await mended.close();
});

test('one process a folder: a second open → spool_in_use; after close, or a dead process’s lock → opens', async () => {
  const folder = freshFolder();
  const spool = open(folder);
  expect(() => open(folder)).toThrow(expect.objectContaining({ code: 'spool_in_use' }));
  await spool.close();
  expect(existsSync(join(folder, 'lock'))).toBe(false);
  writeFileSync(join(folder, 'lock'), '999999999 some-boot x');
  const again = open(folder);
  expect(readFileSync(join(folder, 'lock'), 'utf8')).toContain(String(process.pid));
  await again.close();
});

test('a folder that cannot be used, options that cannot work → a clear error, and no lock left behind', () => {
  const file = join(root, 'a-file');
  writeFileSync(file, '');
  expect(() => open(join(file, 'below'))).toThrow(SpoolError);
  const folder = freshFolder();
  expect(() => open(folder, { lanes: [{ ...EVERY![1]!, bytesMax: 1 }] })).toThrow(RangeError);
  expect(readdirSync(folder)).toEqual([]);
});

test.runIf(process.platform !== 'win32')('files → 0600 in a folder of 0700', async () => {
  const folder = freshFolder();
  const spool = open(folder);
  await spool.record(bytes('a'));
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
  await spool.close();
  chmodSync(folder, 0o700);
});

test('after close: records are refused as closed, taking throws, closing again is the same closing', async () => {
  const spool = open(freshFolder());
  await spool.record(bytes('a'));
  await Promise.all([spool.close(), spool.close()]);
  expect(await spool.record(bytes('b'))).toEqual({ kept: false, lane: 1, reason: 'closed' });
  await expect(spool.take(1, ALL)).rejects.toMatchObject({ code: 'spool_closed' });
});

test('kill -9, eight times at odd moments: what was acknowledged as durable is there, in order and once', async () => {
  const folder = freshFolder();
  const acknowledged: string[] = [];
  for (let round = 0; round < 8; round++) {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', join(import.meta.dirname, 'kill-child.ts'), folder, String(round)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let seen = 0;
    let rest = '';
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          acknowledged.push(line);
          if (++seen === 40 + round * 23) child.kill('SIGKILL');
        }
      });
      child.on('exit', () => child.stdout.on('end', resolve));
      child.on('close', () => resolve());
    });
  }
  const spool = open(folder, { lanes: [{ ...EVERY![1]!, bytesMax: 1e8 }] });
  const found = await drain(spool);
  expect(new Set(found).size).toBe(found.length);
  expect(acknowledged.length).toBeGreaterThan(800);
  const there = new Set(found);
  expect(acknowledged.filter((id) => !there.has(id))).toEqual([]);
  expect(found.filter((id) => acknowledged.includes(id))).toEqual(acknowledged);
  await spool.close();
});

test('spool: a card that is ruined, ten segments of nothing but holes → looked through piece by piece, stopped when asked, all counted', async () => {
  const folder = freshFolder();
  writeBacklog(folder, { segments: 10, whole: 0 });
  const lane = { lane: 1, whenFull: 'drop-oldest', sync: 'none', syncIntervalMs: 1000, bytesMax: 1e8 } as const;
  const spool = openSpool({ folder, lanes: [lane] });
  let asked = 0;
  const isStopped = () => ++asked > 2;
  await expect(spool.takeEach(1, { ...ALL, isStopped }, () => {})).rejects.toMatchObject({ code: 'spool_closed' });
  const between = spool.stats().lanes[0]?.dropped['corrupt'] ?? 0;
  expect(between).toBeGreaterThan(0);
  expect(between).toBeLessThan(10 * READINGS_A_SEGMENT);
  expect(await spool.take(1, ALL)).toBeNull();
  expect(spool.stats().lanes[0]?.dropped).toEqual({ corrupt: 10 * READINGS_A_SEGMENT });
  await spool.close();
});
