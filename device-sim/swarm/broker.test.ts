import { expect, test } from 'vitest';
import { Operator } from './operator.ts';
import { DAY_MS, EPOCH_MS, HOUR_MS, swarmOptions } from './options.ts';
import { sweepRegularly } from './run.ts';
import { World } from './world.ts';

test('broker: a retained wish from before a roll-back, handed over after a boot → one question, and no slot is written', async () => {
  const world = new World(swarmOptions({ seed: 1, devices: 1, days: 6, faults: [], keepTrace: true }));
  const { kernel, broker } = world;
  const operator = new Operator(world);
  const until = (atMs: number) =>
    kernel.run(
      atMs,
      () => false,
      () => {},
    );
  await kernel.still(() => world.servers.open());
  sweepRegularly(world);
  world.enrol(0, () => world.powerUp(0));
  await until(EPOCH_MS + HOUR_MS);
  const member = world.members[0];
  if (member === undefined) throw new Error('expected the device to be enrolled');
  const { device } = member;
  // It says nothing by itself: the bridge's hint alone makes it ask.
  device.recording = false;
  await until(EPOCH_MS + DAY_MS);
  operator.orderDevice(member, 'rotate', {
    source: 'self',
    soak_seconds: 86_400,
  });
  await until(EPOCH_MS + DAY_MS + 2 * HOUR_MS);
  expect(device.phase).toBe('PROVEN');
  const wished = broker.texts;
  expect(wished.map((text) => Object.keys(JSON.parse(text)))).toEqual([
    ['gen', 'base', 'wanted'],
    ['gen', 'base', 'wanted'],
  ]);
  expect(wished.map((text) => JSON.parse(text).wanted)).toEqual([true, false]);

  operator.orderDevice(member, 'roll-back', null);
  await until(EPOCH_MS + 2 * DAY_MS);
  device.powerOff();
  world.powerUp(0);
  expect(device.phase).toBe('SETTLED');
  const slots = device.slotBlobs();
  const from = world.recorder.entries.length;
  broker.goBack(device);
  await until(EPOCH_MS + 2 * DAY_MS + 60_000);

  const sent = world.recorder.entries.slice(from).filter(({ kind }) => kind === 'sent');
  expect(sent.map(({ text }) => text).filter((text) => text === 'GET /v1/device')).toHaveLength(1);
  expect(device.slotBlobs()).toEqual(slots);
  expect(device.phase).toBe('SETTLED');
  expect(world.invariants.found).toEqual([]);
});
