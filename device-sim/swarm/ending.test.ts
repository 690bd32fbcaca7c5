import { expect, test } from 'vitest';
import { calm, Ending } from './ending.ts';
import { Operator } from './operator.ts';
import { DAY_MS, EPOCH_MS, swarmOptions } from './options.ts';
import { sweepRegularly } from './run.ts';
import { World } from './world.ts';

test('ending: a device had nothing more to say before it was told of its rotation → it is told with its next reading', async () => {
  const world = new World(swarmOptions({ seed: 1, devices: 1, days: 2, faults: [] }));
  const { kernel } = world;
  const operator = new Operator(world);
  const until = (atMs: number, ended = () => false) => kernel.run(atMs, ended, () => {});
  await kernel.still(() => world.servers.open());
  sweepRegularly(world);
  world.enrol(0, () => world.powerUp(0));
  await until(EPOCH_MS + DAY_MS);
  const device = world.members[0]?.device;
  if (device === undefined) throw new Error('expected the device to be enrolled');
  device.recording = false;
  await until(EPOCH_MS + 2 * DAY_MS);
  const { kept, delivered } = world.oracle.readings.totals();
  expect(delivered).toBe(kept);

  operator.begin();
  operator.watch();
  await until(EPOCH_MS + 3 * DAY_MS);
  calm(world, operator);
  const ending = new Ending(world, operator);
  await until(EPOCH_MS + 13 * DAY_MS, () => ending.rest.reached);

  expect(world.error).toBeNull();
  expect(ending.rest).toEqual({ reached: true, open: [] });
  expect(operator.completed).toBe(1);
  expect({ on: device.isOn, phase: device.phase, recording: device.recording }).toEqual({
    on: true,
    phase: 'SETTLED',
    recording: false,
  });
});
