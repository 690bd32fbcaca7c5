import {
  type CutFiles,
  type CutSubject,
  copyPower,
  cutFiles,
  cutStorage,
  FILE_VARIANTS,
  isPowerCut,
  laneOfSpool,
  readLane,
  recoverSpool,
  type SpoolEvent,
  type SpoolState,
  type SpoolStorage,
  steadyPower,
  stepSpool,
} from '#sdk/core';

/** What has happened outside of the device: nothing of it is undone by a cut. */
interface Outside {
  /** Readings the sensor has given: what it showed once it does not show again. */
  taken: number;
  /** Acknowledged as durable. */
  durable: number[];
  /** What the server holds, by batch key. */
  batches: Record<string, string>;
  wrong: string;
}

const LANE = 1;
const READINGS = 9;
const BATCH = 4;
const OPTIONS = {
  lanes: [
    { lane: LANE, whenFull: 'never-drop' as const, sync: 'every' as const, syncIntervalMs: 1000, bytesMax: 8192 },
  ],
  bytesPerDayMax: 1e9,
  segmentBytesMax: 220,
  spoolId: '00112233aabbccdd',
};
const ALL = { count: 1e9, bytes: 1e9, boots: 1e9, through: 1e15 };

/** Drives a spool whose storage answers at once. */
class Rig {
  readonly state: SpoolState;
  readonly #storage: SpoolStorage;
  #flushed = 0;
  #durable = false;
  #tickets = 0;

  constructor(files: CutFiles) {
    this.#storage = cutStorage(files);
    this.state = recoverSpool(this.#storage, OPTIONS, 0);
  }

  step(first: SpoolEvent): void {
    const queue = [first];
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      for (const effect of stepSpool(this.state, event)) {
        if (effect.type === 'recorded') this.#durable = effect.outcome.kept && effect.outcome.durable;
        if (effect.type === 'flushed' && effect.durable) this.#flushed = effect.ticket;
        if (effect.type !== 'perform') continue;
        this.#storage.perform(effect.operations, (fault) => {
          queue.push({ type: 'performed', nowMs: 0, fault });
        });
      }
    }
  }

  /** Whether the reading is durable now. */
  record(id: number): boolean {
    const bytes = new Uint8Array(Buffer.from(`r${id}`.padEnd(40, '.')));
    this.#durable = false;
    const time = { nowMs: 0, monotonicMs: 0, wallMs: 0, trust: 'none' as const };
    this.step({ type: 'record', ticket: ++this.#tickets, lane: LANE, bytes, ...time });
    return this.#durable;
  }

  flush(): boolean {
    const ticket = ++this.#tickets;
    this.step({ type: 'flush', nowMs: 0, ticket });
    return this.#flushed === ticket;
  }

  read(limits: Partial<typeof ALL>): { ids: number[]; through: number } {
    const lane = laneOfSpool(this.state, LANE);
    if (lane === null) throw new Error('expected the lane the spool was opened with');
    const { readings, through } = readLane(this.state, this.#storage, lane, { ...ALL, ...limits });
    return { ids: readings.map(({ bytes }) => Number.parseInt(Buffer.from(bytes).toString().slice(1), 10)), through };
  }
}

/** A device that records readings and sends them in batches of four, through any cut, to a server that remembers. */
export function spoolSubject(unitBytes: number): CutSubject {
  return wrap(cutFiles(steadyPower(), unitBytes), { taken: 0, durable: [], batches: {}, wrong: '' });
}

function deliver(rig: Rig, outside: Outside): void {
  const lease = laneOfSpool(rig.state, LANE)?.lease;
  if (!lease) return;
  const { ids } = rig.read({ through: lease.last });
  rig.step({ type: 'resume', nowMs: 0, lane: LANE, readings: ids.length });
  const key = `${lease.boot}.${lease.first}.${lease.random}`;
  const body = ids.join();
  const before = outside.batches[key];
  if (before !== undefined && before !== body) outside.wrong = `batch ${key} was "${before}" and is now "${body}"`;
  outside.batches[key] = body;
  rig.step({ type: 'acknowledge', nowMs: 0, lane: LANE, reason: null });
}

function send(rig: Rig, outside: Outside): boolean {
  const { ids, through } = rig.read({ count: BATCH });
  if (through === 0) return false;
  const random = String(outside.taken);
  rig.step({ type: 'lease', nowMs: 0, lane: LANE, last: through, readings: ids.length, random });
  if (!rig.flush()) throw new Error('the flush was not answered');
  deliver(rig, outside);
  return true;
}

function drive(files: CutFiles, outside: Outside): void {
  const rig = new Rig(files);
  // It may have been read from the cache of a killed process: durable first, then on the wire.
  if (laneOfSpool(rig.state, LANE)?.lease && rig.flush()) deliver(rig, outside);
  while (outside.taken < READINGS) {
    const id = ++outside.taken;
    if (rig.record(id)) outside.durable.push(id);
    if (id % BATCH === 0) send(rig, outside);
  }
  while (send(rig, outside));
  rig.step({ type: 'close', nowMs: 0, ticket: 1 });
}

function inspect(files: CutFiles, outside: Outside): string {
  if (outside.wrong !== '') return outside.wrong;
  const delivered = Object.values(outside.batches).flatMap((body) => body.split(',').map(Number));
  if (new Set(delivered).size !== delivered.length) return `delivered twice: ${delivered.join(', ')}`;
  try {
    const held = new Rig(files.copy(steadyPower())).read({}).ids;
    const missing = outside.durable.filter((id) => !held.includes(id) && !delivered.includes(id));
    return missing.length > 0 ? `acknowledged as durable and gone: ${missing.join(', ')}` : '';
  } catch (error) {
    if (isPowerCut(error)) throw error;
    return `does not open: ${(error as Error).message}`;
  }
}

function wrap(files: CutFiles, outside: Outside): CutSubject {
  return {
    power: files.power,
    variants: FILE_VARIANTS.length,
    drive: () => drive(files, outside),
    reboot: (variant) => files.reboot(variant),
    check: () => inspect(files, outside),
    copy() {
      const { durable, batches } = outside;
      return wrap(files.copy(copyPower(files.power)), { ...outside, durable: [...durable], batches: { ...batches } });
    },
    fingerprint: () => JSON.stringify(outside) + files.fingerprint(),
  };
}
