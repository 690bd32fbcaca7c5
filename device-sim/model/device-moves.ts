import {
  type RotationEffect,
  type RotationEvent,
  type SlotKey,
  stepRotationWith,
  unbootedRotation,
} from './device-tables.ts';
import type { ModelOptions } from './options.ts';
import type { DeviceSide, Request } from './world.ts';

/** One way an event can end for the device. */
export interface DeviceEnd {
  device: DeviceSide;
  sent: readonly Request[];
  /** `whole`: all effects were performed. Else the power was cut at a slot write, `torn` inside it. */
  cut: 'whole' | 'torn' | 'before';
  /** The agent asked to be woken. */
  awake: boolean;
  /** What was written before the end, for the story. */
  wrote: readonly string[];
  /** What an invariant of the device itself says was broken. */
  broken: string | null;
}

type Slots = DeviceSide['slots'];

/** The slot a candidate goes to: the one that does not hold its base. */
function slotBeside(slots: Slots, base: string): number {
  return slots[0]?.fingerprint === base ? 1 : 0;
}

function withSlot(slots: Slots, index: number, record: SlotKey | null): Slots {
  return index === 0 ? [record, slots[1]!] : [slots[0]!, record];
}

/** The slot a write effect goes to and the record it puts there; null where the store finds nothing to do. */
function writeOf(
  options: ModelOptions,
  slots: Slots,
  effect: RotationEffect,
): { index: number; record: SlotKey } | null {
  if (options.storage === 'one-slot' && effect.kind === 'stage') return { index: 0, record: effect.record };
  if (options.storage === 'one-slot') return null;
  if (effect.kind === 'stage') return { index: slotBeside(slots, effect.record.base), record: effect.record };
  if (effect.kind !== 'mirror') return null;
  const index = slots.findIndex((slot) => slot?.fingerprint === effect.fingerprint);
  return index < 0 ? null : { index: 1 - index, record: slots[index]! };
}

interface Progress extends DeviceEnd {
  ends: DeviceEnd[];
}

function cutEnds(options: ModelOptions, so: DeviceEnd, index: number, record: SlotKey): DeviceEnd[] {
  const { slots } = so.device;
  const torn: Slots = options.storage === 'shared' ? [null, null] : withSlot(slots, index, null);
  const wrote = [...so.wrote, record.fingerprint];
  return [boot(options, { ...so, wrote, cut: 'torn' }, torn), boot(options, { ...so, wrote, cut: 'before' }, slots)];
}

function boot(options: ModelOptions, so: DeviceEnd, slots: Slots): DeviceEnd {
  const from: DeviceEnd = { ...so, device: { slots, agent: unbootedRotation() } };
  // Between the cut and the next look at the slots nothing can happen, so the boot is part of the cut.
  return { ...run(options, from, { kind: 'booted', slots: [...slots] }, () => '').at(0)!, cut: so.cut };
}

function perform(
  options: ModelOptions,
  so: Progress,
  effect: RotationEffect,
  nameKey: (g: number) => string,
): Progress {
  const { device } = so;
  switch (effect.kind) {
    case 'wake':
      return { ...so, awake: true };
    case 'mint': {
      const { generation, base } = effect;
      return feed(options, so, { kind: 'candidate', generation, base, fingerprint: nameKey(generation) }, nameKey);
    }
    case 'ask':
      return { ...so, sent: [...so.sent, { kind: 'ask', by: effect.by, generation: effect.generation }] };
    case 'register': {
      const { by, record, recovery } = effect;
      return {
        ...so,
        sent: [...so.sent, { kind: 'register', by, record, recovery }],
        ...durable(so, record.fingerprint),
      };
    }
    case 'report': {
      const broken = effect.phase === 'PROVEN' && effect.by === device.agent.base?.fingerprint;
      const said = broken ? { broken: 'a device that reported PROVEN used its old key again in that boot' } : {};
      return { ...so, sent: [...so.sent, { kind: 'commit', by: effect.by }], ...durable(so, effect.by), ...said };
    }
    case 'stage':
    case 'mirror': {
      const write = writeOf(options, device.slots, effect);
      const slots = write === null ? device.slots : withSlot(device.slots, write.index, write.record);
      const ends = write === null ? [] : cutEnds(options, so, write.index, write.record);
      const wrote = write === null ? so.wrote : [...so.wrote, write.record.fingerprint];
      const after = {
        ...so,
        ends: [...so.ends, ...ends],
        device: { ...device, slots },
        wrote,
      };
      return feed(options, after, { kind: 'written', slots: [...slots] }, nameKey);
    }
  }
}

/** I3: a key is in a slot before its first byte is on the wire. */
function durable(so: DeviceEnd, fingerprint: string): { broken?: string } {
  const inSlot = so.device.slots.some((slot) => slot?.fingerprint === fingerprint);
  return inSlot ? {} : { broken: `I3: ${fingerprint} is used before it is durable` };
}

function feed(options: ModelOptions, so: Progress, event: RotationEvent, nameKey: (g: number) => string): Progress {
  const { state, effects } = stepRotationWith(options.device, so.device.agent, event);
  // The number of failures only lengthens delays, and time is not in the model: any delay may pass.
  const agent = { ...state, failures: 0 };
  let after: Progress = { ...so, device: { ...so.device, agent } };
  for (const effect of effects) after = perform(options, after, effect, nameKey);
  return after;
}

function run(
  options: ModelOptions,
  from: DeviceEnd,
  event: RotationEvent,
  nameKey: (g: number) => string,
): DeviceEnd[] {
  const { ends, ...whole } = feed(options, { ...from, ends: [] }, event, nameKey);
  const broken = whole.broken ?? asleep(from.device, whole);
  return [{ ...whole, broken }, ...ends];
}

/** What of an agent decides what it does next when it wakes. */
function course({ agent }: DeviceSide): string {
  const { phase, base, candidate, turn, baseRefused } = agent;
  return [phase, base?.fingerprint, candidate?.fingerprint, turn, baseRefused].join();
}

/** A device with something to do must have asked to be woken, or be waiting for an answer, after whatever moved it. */
function asleep(before: DeviceSide, end: DeviceEnd): string | null {
  const { agent } = end.device;
  if (end.awake || end.sent.length > 0 || course(before) === course(end.device)) return null;
  const done = agent.phase === 'EMPTY' || (agent.phase === 'SETTLED' && agent.mirrored);
  return done ? null : `a device in ${agent.phase} went to sleep for ever`;
}

/** Every way in which `event` can end for the device, with a power cut before and inside each slot write. */
export function deviceEnds(
  options: ModelOptions,
  device: DeviceSide,
  event: RotationEvent,
  nameKey: (generation: number) => string,
): DeviceEnd[] {
  const start: DeviceEnd = {
    device,
    sent: [],
    awake: false,
    cut: 'whole',
    wrote: [],
    broken: null,
  };
  return run(options, start, event, nameKey);
}
