import type { Member } from './member.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from './options.ts';
import type { Stage } from './stage.ts';

/** Faults of devices are drawn so often; rates are per device and day. */
const DRAW_EVERY_MS = 2 * HOUR_MS;
const SHARE = DRAW_EVERY_MS / DAY_MS;
const TEN_YEARS_MS = 3650 * DAY_MS;
const ASLEEP_MS_MAX = 40 * DAY_MS;
/** Operations that writing a slot takes: a page is erased and 17 words are programmed. */
const SLOT_WRITE_OPERATIONS = 18;

/** Keeps drawing what happens to devices, brokers and the store, for as long as the storm lasts. */
export function storm(world: Stage): void {
  world.kernel.after(DRAW_EVERY_MS, () => {
    if (!world.stormy) return;
    storm(world);
    for (const member of [...world.members]) if (member !== undefined) strikeDevice(world, member);
    strikeBroker(world);
    strikeServer(world);
  });
}

function strikeDevice(world: Stage, member: Member): void {
  const { device } = member;
  const { number } = device.traits;
  const { faults } = world.chance;
  const { recorder, kernel } = world;
  if (!device.isOn) return;
  if (world.strikes('device-reboot', SHARE)) {
    recorder.fault('device-reboot', number);
    device.powerOff();
    kernel.after(1000 + faults.below(MINUTE_MS), () => world.powerUp(number, true));
    return;
  }
  if (world.strikes('device-power-cut', SHARE)) {
    recorder.fault('device-power-cut', number);
    device.medium.power.left = faults.below(300);
  }
  if (world.strikes('device-cut-in-erase', SHARE)) {
    recorder.fault('device-cut-in-erase', number);
    device.cutInSlotWrite = faults.below(SLOT_WRITE_OPERATIONS);
  }
  if (world.strikes('device-brown-out', SHARE)) {
    recorder.fault('device-brown-out', number);
    brownOut(world, member, 2 + faults.below(8));
  }
  if (world.strikes('device-bit-rot', SHARE)) rot(world, member);
  if (world.strikes('device-flash-full', SHARE)) {
    recorder.fault('device-flash-full', number);
    device.medium.files.bytesMax = device.medium.files.bytes() + faults.below(64);
    kernel.after(faults.below(DAY_MS), () => {
      device.medium.files.bytesMax = -1;
    });
  }
  if (world.strikes('device-clock', SHARE)) {
    recorder.fault('device-clock', number);
    world.setClock(member, faults.yes(0.5) ? TEN_YEARS_MS : -TEN_YEARS_MS);
  }
  if (world.strikes('device-asleep', SHARE)) {
    recorder.fault('device-asleep', number);
    device.powerOff();
    device.away = true;
    kernel.after(faults.below(ASLEEP_MS_MAX), () => {
      device.away = false;
      world.powerUp(number, true);
    });
  }
  if (!member.clone && world.strikes('device-clone', SHARE)) {
    recorder.fault('device-clone', number);
    cloneDevice(world, member);
  }
}

/** The power comes and goes: each boot ends after so many operations. */
function brownOut(world: Stage, member: Member, boots: number): void {
  const { device } = member;
  device.medium.power.left = world.chance.faults.below(60);
  if (boots <= 0) return;
  world.kernel.after(5 * MINUTE_MS, () => {
    if (device.isOn) brownOut(world, member, boots - 1);
  });
}

function rot(world: Stage, { device }: Member): void {
  const { faults } = world.chance;
  const { number } = device.traits;
  world.recorder.fault('device-bit-rot', number);
  if (faults.yes(0.5)) {
    device.medium.rotSpool(faults.next());
    world.oracle.readings.excuse(number);
    return;
  }
  // Between the two writes of a key there is one copy of it: rot there is a loss like any other of both slots.
  world.oracle.excuse(number, 'rot');
  device.medium.rotSlots(faults.next());
}

/** A second device with the same bytes, and so with the same id, keys and recovery secret. */
export function cloneDevice(world: Stage, member: Member): Member {
  const number = world.members.length;
  const { device } = member;
  const medium = device.medium.copy();
  medium.reboot(0, true);
  const traits = { ...device.traits, number, identity: device.traits.identity };
  const copy: Member = { device: world.bear(traits, medium), id: member.id, clone: true, supplied: true, gone: false };
  world.members.push(copy);
  world.oracle.cloned(device.traits.number, number);
  copy.device.recording = false;
  world.kernel.after(MINUTE_MS, () => world.powerUp(number, true));
  return copy;
}

function strikeBroker(world: Stage): void {
  if (world.strikes('broker-restart', SHARE)) {
    world.recorder.fault('broker-restart', -1);
    world.broker.restart();
  }
  if (!world.strikes('broker-stale-retained', SHARE)) return;
  world.recorder.fault('broker-stale-retained', -1);
  for (const member of world.members) if (member !== undefined && !member.clone) world.broker.goBack(member.device);
}

function strikeServer(world: Stage): void {
  const { faults } = world.chance;
  if (world.strikes('server-503', SHARE)) {
    world.recorder.fault('server-503', -1);
    const forMs = MINUTE_MS + faults.below(2 * HOUR_MS);
    world.network.outage(forMs);
    world.kernel.after(forMs, () => {
      for (const member of world.members) member?.device.reconnected();
    });
  }
  if (!world.on('server-restore')) return;
  if (!world.servers.hasBackup || faults.yes(SHARE)) world.servers.backUp();
  else if (world.strikes('server-restore', SHARE)) {
    world.recorder.fault('server-restore', -1);
    world.oracle.restored();
    world.servers.restore(() => world.recorder.note('order', -1, 0, () => 'the database is the backup’s'));
  }
}
