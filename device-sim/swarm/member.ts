import type { Device } from '../device/device.ts';
import type { Stage } from './stage.ts';

/** One device of the fleet, and what is to become of it. */
export interface Member {
  device: Device;
  id: string;
  /** A copy somebody made; gone at the end. */
  clone: boolean;
  /** The power comes back by itself. */
  supplied: boolean;
  /** Deleted by an operator, and taken down. */
  gone: boolean;
}

/** Boots a device that is there, off and supplied; `wallMs` is what a right clock says. Whether it was booted. */
export function bootMember(stage: Stage, number: number, killed: boolean, wallMs: number): boolean {
  const member = stage.members[number];
  if (member === undefined || member.device.away || member.device.isOn || !member.supplied) return false;
  const { device } = member;
  device.medium.reboot(stage.chance.faults.next(), killed);
  if (stage.on('device-rtc-reset') && number % 4 === 1) stage.setClock(member, -wallMs);
  stage.recorder.note('boot', number, 0, () => 'boots');
  device.boot();
  return true;
}

/** Takes everything away that is wrong with a device's flash and power; copies and what was deleted go dark. */
export function calmMember(stage: Stage, member: Member): void {
  const { device } = member;
  device.medium.files.bytesMax = -1;
  device.medium.power.left = -1;
  device.cutInSlotWrite = -1;
  if (member.clone || member.gone) {
    device.powerOff();
    member.supplied = false;
    return;
  }
  device.away = false;
  stage.powerUp(device.traits.number);
  device.kick();
}
