import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CutFiles } from '../credentials/index.ts';
import { cutFiles, steadyPower } from '../credentials/index.ts';
import type { SpoolStorage, WhenFull } from './index.ts';
import { cutStorage, decodeSnapshot, encodeReading, SNAPSHOT_NAMES, segmentName, segmentSalt } from './index.ts';
import { laneOptions, SpoolRig, spoolOptions } from './rig.contract.ts';

const disk = () => cutFiles(steadyPower(), 512);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `reading ${from + i}`);
const rigOn = (files: CutFiles, change = {}, nowMs = 0) => new SpoolRig(cutStorage(files), spoolOptions(change), nowMs);

test('spool: recorded, sent in two batches, across a restart → each once, in order; spent segments are removed', () => {
  const files = disk();
  const rig = rigOn(files);
  for (const text of numbers(1, 100)) expect(rig.record(text)).toMatchObject({ kept: true, durable: true });
  expect(files.list().filter((name) => name.startsWith('lane-1')).length).toBeGreaterThan(3);
  expect(rig.send(1, 40)).toEqual(numbers(1, 40));
  rig.flush();
  const again = rigOn(files);
  expect(again.state.boot).toBe(2);
  expect(again.texts()).toEqual(numbers(41, 100));
  again.record('reading 101');
  const { readings } = again.read();
  expect(readings.map((reading) => [reading.sequence, reading.boot]).slice(-2)).toEqual([
    [100, 1],
    [101, 2],
  ]);
  expect(again.send()).toEqual(numbers(41, 101));
  expect(again.read()).toEqual({ readings: [], through: 0 });
  again.flush();
  expect(files.list().filter((name) => name.startsWith('lane-1')).length).toBeLessThanOrEqual(1);
  expect(again.dropped()).toEqual({});
});

test('group commit: readings that arrive while a write is under way → one write and one sync for all of them', () => {
  const files = disk();
  const inner = cutStorage(files);
  const lists: string[][] = [];
  let held = () => {};
  const slow: SpoolStorage = {
    ...inner,
    perform: (operations) => {
      lists.push(operations.map((operation) => operation.op));
      held = () => inner.perform(operations, () => {});
    },
  };
  const rig = new SpoolRig(slow, spoolOptions({ segmentBytesMax: 30_000 }));
  const release = () => {
    held();
    rig.step({ type: 'performed', nowMs: 0, fault: null });
  };
  for (const text of numbers(1, 200)) rig.record(text);
  expect(rig.outcomes.size).toBe(0);
  release();
  expect(rig.outcomes.size).toBe(1);
  release();
  expect(rig.outcomes.size).toBe(200);
  expect(lists[1]).toEqual(['write', 'sync']);
  expect(lists.length).toBe(2);
  expect(rig.texts()).toEqual(numbers(1, 200));
});

describe('policies', () => {
  const fill = (whenFull: WhenFull, sync: 'every' | 'none' = 'every') => {
    const files = disk();
    const rig = rigOn(files, { lanes: [laneOptions(0), laneOptions(1, { whenFull, sync, bytesMax: 4096 })] });
    return { files, rig };
  };
  const bytesOf = (files: CutFiles) =>
    files
      .list()
      .filter((name) => name.startsWith('lane-1'))
      .reduce((sum, name) => sum + files.size(name), 0);

  test('drop-oldest: over the cap → the oldest segment goes, counted; the newest is there; never over the cap', () => {
    const { files, rig } = fill('drop-oldest');
    for (const text of numbers(1, 500)) {
      expect(rig.record(text)).toMatchObject({ kept: true });
      expect(bytesOf(files)).toBeLessThanOrEqual(4096);
    }
    const texts = rig.texts();
    expect(texts.at(-1)).toBe('reading 500');
    expect(texts.length).toBeGreaterThan(40);
    expect(rig.dropped()).toEqual({ evicted: 500 - texts.length });
    rig.flush();
    expect(rigOn(files).dropped()).toEqual({ evicted: 500 - texts.length });
  });

  test('block: over the cap → the caller waits, and goes on in order when room is made', () => {
    const { files, rig } = fill('block');
    for (const text of numbers(1, 200)) rig.record(text);
    const taken = rig.outcomes.size;
    expect(taken).toBeLessThan(200);
    const sent = rig.send(1, 40);
    expect(rig.outcomes.size).toBeGreaterThan(taken);
    while (sent.length < 200) sent.push(...rig.send(1, 40));
    expect(sent).toEqual(numbers(1, 200));
    expect(rig.dropped()).toEqual({});
    expect(bytesOf(files)).toBeLessThanOrEqual(4096);
  });

  test('never-drop: over the cap → refused with lane_full, nothing accepted is lost', () => {
    const { rig } = fill('never-drop');
    const outcomes = numbers(1, 200).map((text) => rig.record(text)!);
    const kept = outcomes.filter((outcome) => outcome.kept).length;
    expect(outcomes[kept]).toEqual({ kept: false, lane: 1, reason: 'lane_full' });
    expect(rig.texts()).toEqual(numbers(1, kept));
    expect(rig.dropped()).toEqual({ lane_full: 200 - kept });
    rig.send();
    expect(rig.record('after')).toMatchObject({ kept: true });
  });

  test('a leased batch → is never evicted, younger segments go instead, and its range reads the same after a restart', () => {
    const { files, rig } = fill('drop-oldest');
    for (const text of numbers(1, 30)) rig.record(text);
    const { readings, through } = rig.read(1, { count: 30 });
    rig.step({ type: 'lease', nowMs: 0, lane: 1, last: through, readings: readings.length, random: 'cd'.repeat(16) });
    rig.flush();
    for (const text of numbers(31, 400)) rig.record(text);
    rig.flush();
    const again = rigOn(files, { lanes: [laneOptions(0), laneOptions(1, { bytesMax: 4096 })] });
    const lease = again.state.lanes[1]!.lease!;
    expect(lease).toEqual({ first: 1, last: 30, boot: 1, random: 'cd'.repeat(16) });
    expect(again.read(1, { through: lease.last }).readings.map((r) => Buffer.from(r.bytes).toString())).toEqual(
      numbers(1, 30),
    );
  });

  test('bytes a day: at nine tenths lanes are refused, lane 0 goes on to the whole, an hour bucket ages out after 25 h', () => {
    const files = disk();
    const lanes = [laneOptions(0, { bytesMax: 1e6 }), laneOptions(1, { bytesMax: 1e6 })];
    const rig = rigOn(files, { bytesPerDayMax: 400_000, lanes });
    let kept = 0;
    while (rig.record('x'.repeat(66))!.kept) kept++;
    expect(kept).toBeGreaterThan(100);
    expect(rig.state.wear.sum).toBeLessThanOrEqual(360_000);
    expect(rig.dropped()).toEqual({ wear: 1 });
    expect(rig.record('proof', 0)).toMatchObject({ kept: true });
    while (rig.record('x'.repeat(66), 0)!.kept);
    expect(rig.state.wear.sum).toBeLessThanOrEqual(400_000);
    rig.tick(24 * 3_600_000);
    expect(rig.record('still the same day')!.kept).toBe(false);
    // A restart does not forget what was written.
    rig.step({ type: 'close', nowMs: rig.nowMs, ticket: 0 });
    const again = rigOn(files, { bytesPerDayMax: 400_000, lanes });
    expect(again.record('after a restart')!.kept).toBe(false);
    again.tick(25 * 3_600_000);
    expect(again.record('the next day')).toMatchObject({ kept: true });
  });

  test('interval and none: acknowledged at once as not durable, synced when due or flushed', () => {
    const files = disk();
    const lanes = [laneOptions(1, { sync: 'interval' }), laneOptions(2, { sync: 'none' })];
    const rig = rigOn(files, { lanes });
    expect(rig.record('a', 1)).toMatchObject({ kept: true, durable: false });
    expect(rig.record('b', 2)).toMatchObject({ kept: true, durable: false });
    expect(rig.effects).toContainEqual({ type: 'wake', atMs: 1000 });
    const cut = (source: CutFiles) => {
      const copy = source.copy(steadyPower());
      copy.reboot(0);
      return rigOn(copy, { lanes });
    };
    expect([cut(files).texts(1), cut(files).texts(2)]).toEqual([[], []]);
    rig.tick(1000);
    expect([cut(files).texts(1), cut(files).texts(2)]).toEqual([['a'], []]);
    expect(rig.flush()).toBe(true);
    expect([cut(files).texts(1), cut(files).texts(2)]).toEqual([['a'], ['b']]);
  });

  test('too large, closed, unknown lane: refused with the reason, counted', () => {
    const rig = rigOn(disk());
    expect(rig.record(new Uint8Array(2000))).toEqual({ kept: false, lane: 1, reason: 'too_large' });
    rig.step({ type: 'close', nowMs: 0, ticket: 99 });
    expect(rig.flushed.has(99)).toBe(true);
    expect(rig.record('late')).toEqual({ kept: false, lane: 1, reason: 'closed' });
    expect(rig.dropped()).toEqual({ too_large: 1, closed: 1 });
    expect(() => rig.record('where', 5)).toThrow(/got 5/);
  });
});

describe('a medium that fails', () => {
  /** Fails the operations for which `when` is true. */
  const failing = (files: CutFiles, when: (op: string, name: string) => 'full' | 'io' | null): SpoolStorage => {
    const inner = cutStorage(files);
    return {
      ...inner,
      perform: (operations, done) => {
        for (const [at, operation] of operations.entries()) {
          const kind = when(operation.op, operation.name);
          if (kind) return done({ kind, at, detail: 'injected' });
          let fault = null;
          inner.perform([operation], (said) => {
            fault = said && { ...said, at };
          });
          if (fault) return done(fault);
        }
        done(null);
      },
    };
  };

  test('a disk that fills up: drop-oldest goes on with the newest, lane 0 takes the room of the others', () => {
    const files = disk();
    const rig = rigOn(files);
    rig.flush();
    rig.record('first');
    files.bytesMax = 8192 + 4096 + 1500;
    for (const text of numbers(1, 300)) rig.record(text);
    expect(rig.texts().at(-1)).toBe('reading 300');
    expect(rig.dropped()['evicted']).toBeGreaterThan(100);
    expect(Object.keys(rig.dropped())).toEqual(['evicted']);
    for (const text of numbers(1, 20)) expect(rig.record(text, 0)).toMatchObject({ kept: true, durable: true });
    expect(rig.texts(0)).toEqual(numbers(1, 20));
    expect(rig.effects.some((effect) => effect.type === 'fault' && effect.fault.kind === 'full')).toBe(true);
  });

  test('a disk that is full from the start → readings are refused with disk_full, and kept once there is room', () => {
    const files = disk();
    files.bytesMax = 0;
    const rig = rigOn(files, { lanes: [laneOptions(1), laneOptions(2, { whenFull: 'block' })] });
    expect(rig.record('one')).toEqual({ kept: false, lane: 1, reason: 'disk_full' });
    expect(rig.record('two', 2)).toBeUndefined();
    files.bytesMax = -1;
    rig.tick(1000);
    expect(rig.texts(2)).toEqual(['two']);
    expect(rig.record('three')).toMatchObject({ kept: true });
    expect(rig.dropped(1)).toEqual({ disk_full: 1 });
    expect(rig.dropped(2)).toEqual({});
  });

  test('a sync that fails once → the readings go into a new segment, are acknowledged once and read once', () => {
    const files = disk();
    let left = 1;
    const rig = new SpoolRig(
      failing(files, (op, name) => (op === 'sync' && name.startsWith('lane-1') && left-- > 0 ? 'io' : null)),
      spoolOptions(),
    );
    expect(rig.record('a')).toBeUndefined();
    rig.tick(1000);
    expect(rig.outcomes.get(1)).toMatchObject({ kept: true, durable: true });
    rig.record('b');
    expect(rig.texts()).toEqual(['a', 'b']);
    expect(rigOn(files).texts()).toEqual(['a', 'b']);
  });

  test('a medium that fails for good → three tries, then storage_fault; other lanes go on; it mends → recording goes on', () => {
    const files = disk();
    let broken = true;
    const rig = new SpoolRig(
      failing(files, (op, name) => (broken && op === 'write' && name.startsWith('lane-1') ? 'io' : null)),
      spoolOptions(),
    );
    rig.record('a');
    rig.tick(1000);
    expect(rig.outcomes.size).toBe(0);
    rig.tick(2000);
    expect(rig.outcomes.get(1)).toEqual({ kept: false, lane: 1, reason: 'storage_fault' });
    rig.tick(3000);
    expect(rig.record('proof', 0)).toMatchObject({ kept: true });
    broken = false;
    expect(rig.record('b')).toMatchObject({ kept: true });
    expect(rig.send()).toEqual(['b']);
    expect(rig.dropped()).toEqual({ storage_fault: 1 });
  });

  test('a medium that fails for good → a flush and a closing end after three tries, as not durable', () => {
    const rig = new SpoolRig(
      failing(disk(), (op) => (op === 'sync' ? 'io' : null)),
      spoolOptions(),
    );
    expect(rig.flush()).toBe(false);
    for (const nowMs of [1000, 2000, 3000, 4000, 5000]) rig.tick(nowMs);
    rig.step({ type: 'close', nowMs: 6000, ticket: 99 });
    rig.tick(7000);
    const settled = rig.effects.filter((effect) => effect.type === 'flushed');
    expect(settled.map((effect) => effect.durable)).toEqual([false, false]);
  });

  test('files that cannot be removed, snapshots that cannot be written → reported, recording is held and resumes', () => {
    const files = disk();
    let broken = true;
    const rig = new SpoolRig(
      failing(files, (op, name) => (broken && (op === 'remove' || name.startsWith('state')) ? 'io' : null)),
      spoolOptions({ lanes: [laneOptions(1, { whenFull: 'block' })] }),
    );
    rig.record('a');
    expect(rig.outcomes.size).toBe(0);
    broken = false;
    rig.tick(1000);
    expect(rig.outcomes.get(1)).toMatchObject({ kept: true });
    for (const text of numbers(1, 100)) rig.record(text);
    broken = true;
    expect(rig.read(1, { count: 60 }).readings.length).toBe(60);
    rig.send(1, 60);
    broken = false;
    rig.tick(60_000);
    rig.flush();
    expect(rig.texts()).toEqual(numbers(60, 100));
  });
});

describe('damage', () => {
  test('any one bit of any segment turned over → at most that reading is missing, counted, the rest arrive in order', () => {
    const files = disk();
    const rig = rigOn(files, { segmentBytesMax: 256 });
    const all = numbers(1, 12);
    for (const text of all) rig.record(text);
    rig.flush();
    for (const name of files.list().filter((each) => each.startsWith('lane-1'))) {
      for (let bit = 0; bit < files.size(name) * 8; bit += 3) {
        const rotten = files.copy(steadyPower());
        rotten.flipBit(name, bit);
        const after = rigOn(rotten, { segmentBytesMax: 256 });
        after.record('after');
        const sent = after.send();
        const missing = all.filter((text) => !sent.includes(text));
        expect(missing.length, `${name} bit ${bit}`).toBeLessThanOrEqual(1);
        expect(sent).toEqual([...all.filter((text) => !missing.includes(text)), 'after']);
        const { corrupt = 0, lost = 0 } = after.dropped();
        expect(corrupt + lost, `${name} bit ${bit}`).toBe(missing.length);
      }
    }
  });

  test('a whole segment gone or full of noise → counted, never fatal, the others arrive', () => {
    for (const harm of ['remove', 'noise'] as const) {
      const files = disk();
      const rig = rigOn(files);
      for (const text of numbers(1, 100)) rig.record(text);
      rig.flush();
      const second = files
        .list()
        .filter((name) => name.startsWith('lane-1'))
        .sort()[1]!;
      if (harm === 'remove') files.remove(second);
      else
        files.write(
          second,
          0,
          new Uint8Array(files.size(second)).map((_, i) => (i * 167) & 255),
        );
      const after = rigOn(files);
      const sent = after.send();
      expect(sent.length).toBeLessThan(100);
      expect(sent.at(-1)).toBe('reading 100');
      expect(after.dropped()).toEqual({ corrupt: 100 - sent.length });
    }
  });

  test('both snapshots damaged → nothing stored is lost, what was delivered comes again, and it is told', () => {
    const files = disk();
    const rig = rigOn(files);
    for (const text of numbers(1, 10)) rig.record(text);
    rig.send(1, 5);
    rig.flush();
    for (const name of SNAPSHOT_NAMES) files.flipBit(name, 200);
    const after = rigOn(files);
    expect(after.state.snapshotLost).toBe(true);
    expect(after.texts().slice(-5)).toEqual(numbers(6, 10));
    expect(after.state.boot).toBe(2);
    expect(after.record('next')).toMatchObject({ sequence: 11 });
  });

  test('a reading that is itself a frame, behind damage → never taken for a record of its own', () => {
    const files = disk();
    const rig = rigOn(files);
    const name = segmentName(1, 1);
    const forged = encodeReading(
      { bytes: Uint8Array.of(66), sequence: 3, boot: 1, monotonicMs: 0, wallMs: 0, trust: 'none' },
      segmentSalt('lane-1-elsewhere'),
    );
    rig.record('good');
    rig.record(forged);
    rig.record('last');
    rig.flush();
    files.flipBit(name, (34 + 4 + 8) * 8);
    expect(rigOn(files).texts()).toEqual(['good', 'last']);
  });

  test('files that are none of its own → left alone', () => {
    const files = disk();
    files.append('notes.txt', Uint8Array.of(1));
    files.append('lane-1-1', Uint8Array.of(1));
    files.append('lane-9-000000001', Uint8Array.of(1));
    const rig = rigOn(files);
    rig.record('a');
    rig.send();
    rig.flush();
    expect(files.list()).toEqual(expect.arrayContaining(['notes.txt', 'lane-1-1', 'lane-9-000000001']));
  });

  test('options that cannot work → RangeError with what was expected', () => {
    const open = (change: object) => () => rigOn(disk(), change);
    expect(open({ lanes: [laneOptions(1), laneOptions(1)] })).toThrow(/different lanes/);
    expect(open({ lanes: [laneOptions(8)] })).toThrow(/0 to 7/);
    expect(open({ lanes: [laneOptions(1, { bytesMax: 100 })] })).toThrow(/two segments/);
  });
});

test('snapshot: eight lanes with every counter at its largest → still fits', () => {
  const files = disk();
  const lanes = Array.from({ length: 8 }, (_, lane) => laneOptions(lane));
  const rig = rigOn(files, { lanes });
  const reasons = [
    'evicted',
    'lane_full',
    'wear',
    'busy',
    'disk_full',
    'storage_fault',
    'corrupt',
    'lost',
    'too_large',
    'closed',
  ];
  for (const lane of rig.state.lanes) {
    for (const reason of reasons) lane.dropped[reason] = 99_999_999_999;
    lane.done = 2 ** 47;
    lane.nextSequence = 2 ** 47 + 9;
    lane.lease = { first: 2 ** 47 + 1, last: 2 ** 47 + 8, boot: 2 ** 32 - 1, random: 'ff'.repeat(16) };
  }
  rig.state.wear.hours = rig.state.wear.hours.map(() => 99_999_999_999);
  expect(rig.flush()).toBe(true);
  const snapshots = SNAPSHOT_NAMES.map((name) => decodeSnapshot(files.read(name)!)).filter((each) => each !== null);
  expect(snapshots.map((each) => each.lanes.length)).toEqual([8]);
  expect(snapshots[0]!.lanes[7]!.dropped).toEqual(rig.dropped(7));
});

test('spool: any mix of recording, sending, acknowledging, restarts → each kept reading delivered once or counted', () => {
  const command = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('record' as const), size: fc.integer({ min: 1, max: 120 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('send' as const), size: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), size: fc.constant(0) }) },
  );
  const whenFull = fc.constantFrom<WhenFull>('drop-oldest', 'never-drop');
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120 }), whenFull, (commands, policy) => {
      const files = disk();
      const lanes = [laneOptions(1, { whenFull: policy, bytesMax: 2048 })];
      let rig = rigOn(files, { lanes, segmentBytesMax: 512 });
      let count = 0;
      let refused = 0;
      const sent: string[] = [];
      for (const { kind, size } of commands) {
        if (kind === 'record') {
          if (!rig.record(`${++count}`.padEnd(size, '.'))!.kept) refused++;
        } else if (kind === 'send') sent.push(...rig.send(1, size));
        else {
          rig.step({ type: 'close', nowMs: 0, ticket: 1 });
          rig = rigOn(files, { lanes, segmentBytesMax: 512 });
        }
      }
      for (let more = rig.send(); more.length > 0; more = rig.send()) sent.push(...more);
      const ids = sent.map((text) => Number.parseInt(text, 10));
      expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
      const dropped = Object.values(rig.dropped()).reduce((sum, each) => sum + each, 0);
      expect(ids.length + dropped).toBe(count);
      if (policy === 'never-drop') expect(dropped).toBe(refused);
    }),
    { numRuns: 150 },
  );
});
