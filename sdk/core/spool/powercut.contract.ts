import type { CutFiles, CutSubject, Power } from '../credentials/index.ts';
import { copyPower, cutFiles, FILE_VARIANTS, isPowerCut, steadyPower } from '../credentials/index.ts';
import type { SpoolStorage } from './index.ts';
import { laneOptions, SpoolRig, spoolOptions } from './rig.contract.ts';

interface World {
  /** Readings the device has taken so far: what a sensor shows is not shown again. */
  taken: number;
  /** Acknowledged as durable. */
  durable: number[];
  /** What the server holds, by batch key; a repeat under a key must be the same. */
  batches: { [key: string]: string };
  wrong: string;
}

const READINGS = 9;
const options = spoolOptions({
  segmentBytesMax: 220,
  lanes: [laneOptions(1, { whenFull: 'never-drop', bytesMax: 8192 })],
});

/** A device that records readings and sends them in batches of four, through any cut, to a server that remembers. */
export function spoolSubject(storageOf: (files: CutFiles) => SpoolStorage, unitBytes: number): CutSubject {
  const wrap = (files: CutFiles, world: World): CutSubject => {
    const drive = () => {
      const rig = new SpoolRig(storageOf(files), options);
      const lane = rig.state.lanes[0]!;
      const deliver = () => {
        const lease = lane.lease!;
        const { readings } = rig.read(1, { through: lease.last });
        rig.step({ type: 'resume', nowMs: 0, lane: 1, readings: readings.length });
        const key = `${lease.boot}.${lease.first}.${lease.random}`;
        const body = readings.map((reading) => Buffer.from(reading.bytes).toString()).join();
        if (world.batches[key] !== undefined && world.batches[key] !== body) {
          world.wrong = `batch ${key} was "${world.batches[key]}" and is "${body}" when sent again`;
        }
        world.batches[key] = body;
        rig.step({ type: 'acknowledge', nowMs: 0, lane: 1, reason: null });
      };
      const send = () => {
        const { readings, through } = rig.read(1, { count: 4 });
        if (through === 0) return false;
        rig.step({
          type: 'lease',
          nowMs: 0,
          lane: 1,
          last: through,
          readings: readings.length,
          random: `${world.taken}`,
        });
        if (!rig.flush()) throw new Error('the flush was not answered');
        deliver();
        return true;
      };
      // It may have been read from the cache of a killed process: durable first, then on the wire.
      if (lane.lease && rig.flush()) deliver();
      while (world.taken < READINGS) {
        const id = ++world.taken;
        const outcome = rig.record(`r${id}`.padEnd(40, '.'));
        if (outcome?.kept && outcome.durable) world.durable.push(id);
        if (id % 4 === 0) send();
      }
      while (send());
      rig.step({ type: 'close', nowMs: 0, ticket: 1 });
    };
    return {
      power: files.power,
      variants: FILE_VARIANTS.length,
      drive,
      reboot: (variant) => files.reboot(variant),
      check: () => {
        if (world.wrong) return world.wrong;
        const delivered = Object.values(world.batches).flatMap((body) =>
          body.split(',').map((text) => Number.parseInt(text.slice(1), 10)),
        );
        if (new Set(delivered).size !== delivered.length) return `delivered twice: ${delivered}`;
        try {
          const rig = new SpoolRig(storageOf(files.copy(steadyPower())), options);
          const held = rig.texts().map((text) => Number.parseInt(text.slice(1), 10));
          const missing = world.durable.filter((id) => !held.includes(id) && !delivered.includes(id));
          return missing.length > 0 ? `acknowledged as durable and gone: ${missing}` : '';
        } catch (error) {
          if (isPowerCut(error)) throw error;
          return `does not open: ${(error as Error).message}`;
        }
      },
      copy: () => {
        const power: Power = copyPower(files.power);
        return wrap(files.copy(power), { ...world, durable: [...world.durable], batches: { ...world.batches } });
      },
      fingerprint: () => JSON.stringify(world) + files.fingerprint(),
    };
  };
  return wrap(cutFiles(steadyPower(), unitBytes), { taken: 0, durable: [], batches: {}, wrong: '' });
}
