import { cloneDevice } from '../swarm/fleet.ts';
import { DAY_MS, HOUR_MS } from '../swarm/options.ts';
import type { Scenario } from './scenario.ts';

/** Somebody copies a device's memory and uses its key; the operator quarantines it; only one of the two recovers. */
export const stolenKey: Scenario = {
  name: 'stolen-key',
  summary: 'a device is copied, both use its key, the operator quarantines it and the device recovers',
  options: { days: 6, faults: [] },
  begin(world, operator) {
    world.kernel.after(DAY_MS, () => {
      const victim = world.members[0];
      if (victim === undefined) return;
      world.recorder.fault('device-clone', 0);
      const thief = cloneDevice(world, victim);
      world.kernel.after(12 * HOUR_MS, () => {
        operator.orderDevice(victim, 'quarantine', { reason: 'seen in two places' });
      });
      // The thief is found and switched off; the device itself goes on from its recovery secret.
      world.kernel.after(36 * HOUR_MS, () => {
        thief.device.powerOff();
        thief.supplied = false;
      });
    });
    operator.watch();
  },
  expectsByThen(world) {
    const [victim] = world.members;
    const thief = world.members.find((one) => one?.clone);
    if (victim?.device.phase !== 'SETTLED') return `the device is ${victim?.device.phase ?? 'missing'}`;
    const copied = world.oracle.watch(thief?.device.traits.number ?? -1).slots.map((slot) => slot?.fingerprint);
    const own = world.oracle.watch(0).slots.map((slot) => slot?.fingerprint);
    return own.some((one) => copied.includes(one)) ? 'the device still uses the key that was copied' : null;
  },
  expects: () => null,
};
