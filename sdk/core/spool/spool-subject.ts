import { fromAscii, toAscii } from '../bytes/index.ts';
import type { CutFiles, CutSubject } from '../credentials/powercut/index.ts';
import { copyPower, cutFiles, FILE_VARIANTS, isPowerCut, steadyPower } from '../credentials/powercut/index.ts';
import { laneOfSpool, readLane } from './read.ts';
import { recoverSpool } from './recover.ts';
import { stepSpool } from './step.ts';
import type { Lane, SpoolEvent, SpoolOptions, SpoolState, SpoolStorage } from './types.ts';

/** What has happened outside of the device: nothing of it is undone by a cut. */
interface Outside {
  /** Readings the sensor has given: what it showed once it does not show again. */
  taken: number;
  /** Acknowledged as durable. */
  durable: number[];
  /** What the server holds, by batch key; a repeat under a key must be the same. */
  batches: { [key: string]: string };
  wrong: string;
}

const LANE = 1;
const READINGS = 9;
const BATCH = 4;
const READING_BYTES = 40;
const EVER = 1e15;
const OPTIONS: SpoolOptions = {
  lanes: [{ lane: LANE, whenFull: 'never-drop', sync: 'every', syncIntervalMs: 1000, bytesMax: 8192 }],
  bytesPerDayMax: 1e9,
  segmentBytesMax: 220,
  spoolId: '00112233aabbccdd',
};

/** A spool whose storage answers at once. */
interface Rig {
  lane: Lane;
  step(event: SpoolEvent): void;
  record(id: number): boolean;
  flush(): boolean;
  read(count: number, through: number): { ids: number[]; through: number };
}

const textOf = function (id: number): string {
  let text = 'r' + id;
  while (text.length < READING_BYTES) text += '.';
  return text;
};

const rigOver = function (storage: SpoolStorage): Rig {
  const state: SpoolState = recoverSpool(storage, OPTIONS, 0);
  let flushed = 0;
  let durable = false;
  let tickets = 0;
  const rig: Rig = {
    lane: laneOfSpool(state, LANE) as Lane,
    step: function (first) {
      const queue = [first];
      for (let event = queue.shift(); event; event = queue.shift()) {
        const effects = stepSpool(state, event);
        for (let i = 0; i < effects.length; i++) {
          const effect = effects[i];
          if (!effect) continue;
          if (effect.type === 'recorded') durable = effect.outcome.kept && effect.outcome.durable;
          if (effect.type === 'flushed' && effect.durable) flushed = effect.ticket;
          if (effect.type === 'perform') {
            storage.perform(effect.operations, function (fault) {
              queue.push({ type: 'performed', nowMs: 0, fault: fault });
            });
          }
        }
      }
    },
    record: function (id) {
      durable = false;
      rig.step({
        type: 'record',
        nowMs: 0,
        ticket: ++tickets,
        lane: LANE,
        bytes: fromAscii(textOf(id)),
        monotonicMs: 0,
        wallMs: 0,
        trust: 'none',
      });
      return durable;
    },
    flush: function () {
      const ticket = ++tickets;
      rig.step({ type: 'flush', nowMs: 0, ticket: ticket });
      return flushed === ticket;
    },
    read: function (count, through) {
      const found = readLane(state, storage, rig.lane, { count: count, bytes: EVER, boots: EVER, through: through });
      const ids = found.readings.map(function (reading) {
        return parseInt(toAscii(reading.bytes).substring(1), 10);
      });
      return { ids: ids, through: found.through };
    },
  };
  return rig;
};

const deliver = function (rig: Rig, outside: Outside): void {
  const lease = rig.lane.lease;
  if (!lease) return;
  const ids = rig.read(EVER, lease.last).ids;
  rig.step({ type: 'resume', nowMs: 0, lane: LANE, readings: ids.length });
  const key = lease.boot + '.' + lease.first + '.' + lease.random;
  const body = ids.join();
  const before = outside.batches[key];
  if (before !== undefined && before !== body) {
    outside.wrong = 'batch ' + key + ' was "' + before + '" and is "' + body + '" when sent again';
  }
  outside.batches[key] = body;
  rig.step({ type: 'acknowledge', nowMs: 0, lane: LANE, reason: null });
};

const send = function (rig: Rig, outside: Outside): boolean {
  const found = rig.read(BATCH, EVER);
  if (found.through === 0) return false;
  rig.step({
    type: 'lease',
    nowMs: 0,
    lane: LANE,
    last: found.through,
    readings: found.ids.length,
    random: String(outside.taken),
  });
  if (!rig.flush()) throw new Error('the flush was not answered');
  deliver(rig, outside);
  return true;
};

const drive = function (storage: SpoolStorage, outside: Outside): void {
  const rig = rigOver(storage);
  // It may have been read from the cache of a killed process: durable first, then on the wire.
  if (rig.lane.lease && rig.flush()) deliver(rig, outside);
  while (outside.taken < READINGS) {
    const id = ++outside.taken;
    if (rig.record(id)) outside.durable.push(id);
    if (id % BATCH === 0) send(rig, outside);
  }
  while (send(rig, outside));
  rig.step({ type: 'close', nowMs: 0, ticket: 1 });
};

const deliveredTo = function (outside: Outside): number[] {
  const ids: number[] = [];
  for (const key in outside.batches) {
    const body = (outside.batches[key] as string).split(',');
    for (let i = 0; i < body.length; i++) ids.push(Number(body[i]));
  }
  return ids;
};

const inspect = function (storage: SpoolStorage, outside: Outside): string {
  if (outside.wrong) return outside.wrong;
  const delivered = deliveredTo(outside);
  for (let i = 0; i < delivered.length; i++) {
    if (delivered.indexOf(delivered[i] as number) !== i) return 'delivered twice: ' + delivered[i];
  }
  try {
    const held = rigOver(storage).read(EVER, EVER).ids;
    const missing = outside.durable.filter(function (id) {
      return held.indexOf(id) < 0 && delivered.indexOf(id) < 0;
    });
    return missing.length > 0 ? 'acknowledged as durable and gone: ' + missing.join() : '';
  } catch (error) {
    if (isPowerCut(error)) throw error;
    return 'does not open: ' + String((error as Error).message);
  }
};

/**
 * A device that records readings and sends them in batches of four, through any cut, to a server that remembers: for
 * `exploreCuts`. `storageOf` is the storage under test, over an emulated folder whose writes are torn every `unitBytes`.
 */
export function spoolSubject(storageOf: (files: CutFiles) => SpoolStorage, unitBytes: number): CutSubject {
  const wrap = function (files: CutFiles, outside: Outside): CutSubject {
    return {
      power: files.power,
      variants: FILE_VARIANTS.length,
      drive: function () {
        drive(storageOf(files), outside);
      },
      reboot: function (variant) {
        files.reboot(variant);
      },
      check: function () {
        return inspect(storageOf(files.copy(steadyPower())), outside);
      },
      copy: function () {
        const batches: { [key: string]: string } = {};
        for (const key in outside.batches) batches[key] = outside.batches[key] as string;
        return wrap(files.copy(copyPower(files.power)), {
          taken: outside.taken,
          durable: outside.durable.concat(),
          batches: batches,
          wrong: outside.wrong,
        });
      },
      fingerprint: function () {
        return JSON.stringify(outside) + files.fingerprint();
      },
    };
  };
  return wrap(cutFiles(steadyPower(), unitBytes), { taken: 0, durable: [], batches: {}, wrong: '' });
}
