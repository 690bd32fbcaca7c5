/*
 * Two small header fields, and the words in them.
 *
 *   Fuselink-Rotation: settled;gen=1, wanted;gen=2;base=0011223344556677;source=self;recovery
 *   Fuselink-Rotation: recoverable;gen=3;base=0011223344556677
 *   Fuselink-Device: boot=5;seq=12;tag=8f3a01bc;phase=PROVING
 *
 * The first is told in answers, the second said in requests. What is not understood is ignored whole, item by item: a
 * newer server may tell more than an older device knows.
 */

/** Lower-case, as Node delivers them. */
export const HEADER_ROTATION = 'fuselink-rotation';
export const HEADER_DEVICE = 'fuselink-device';

/** One thing a server tells a device of its rotation. `base` is 16 hex characters, `generation` a u32. */
export type RotationTold =
  | { kind: 'wanted'; generation: number; base: string; source: 'self' | 'offer' | 'manual'; recovery: boolean }
  | { kind: 'settled'; generation: number }
  | { kind: 'recoverable'; generation: number; base: string };

/**
 * Where in its life a device is when it makes a request: `boot` counts its boots durably, `sequence` its requests in this
 * boot, `bootTag` is drawn once a boot (8 to 32 hex characters), `phase` is its rotation agent's, or '' where not said.
 */
export interface DevicePosition {
  boot: number;
  sequence: number;
  bootTag: string;
  phase: string;
}

const GENERATION_MAX = 4294967295;
const SEQUENCE_MAX = 9007199254740991;

function word(text: string, name: string): string | null {
  const parts = text.split(';');
  for (let i = 0; i < parts.length; i++) {
    const part = (parts[i] as string).trim();
    if (part.indexOf(name + '=') === 0) return part.substring(name.length + 1);
  }
  return null;
}

function whole(text: string | null, max: number): number | null {
  if (text === null || !/^[0-9]+$/.test(text)) return null;
  const number = Number(text);
  return number <= max ? number : null;
}

function isHex(text: string | null, charsMin: number, charsMax: number): boolean {
  return text !== null && text.length >= charsMin && text.length <= charsMax && /^[0-9a-f]+$/.test(text);
}

function isSource(text: string | null): boolean {
  return text === 'self' || text === 'offer' || text === 'manual';
}

/** The value of `Fuselink-Rotation`; '' where there is nothing to tell. */
export function formatRotationTold(told: RotationTold[]): string {
  const items: string[] = [];
  for (let i = 0; i < told.length; i++) {
    const one = told[i] as RotationTold;
    let item = one.kind + ';gen=' + one.generation;
    if (one.kind !== 'settled') item += ';base=' + one.base;
    if (one.kind === 'wanted') item += ';source=' + one.source + (one.recovery ? ';recovery' : '');
    items.push(item);
  }
  return items.join(', ');
}

function toldOf(item: string): RotationTold | null {
  const kind = (item.split(';')[0] as string).trim();
  const generation = whole(word(item, 'gen'), GENERATION_MAX);
  const base = word(item, 'base');
  if (generation === null) return null;
  if (kind === 'settled') return { kind: 'settled', generation: generation };
  if (!isHex(base, 16, 16)) return null;
  if (kind === 'recoverable') return { kind: 'recoverable', generation: generation, base: base as string };
  const source = word(item, 'source');
  if (kind !== 'wanted' || !isSource(source)) return null;
  return {
    kind: 'wanted',
    generation: generation,
    base: base as string,
    source: source as 'self' | 'offer' | 'manual',
    recovery: /; *recovery *(;|$)/.test(item),
  };
}

/** What a `Fuselink-Rotation` field tells, in its order. Items that are not understood are left out. */
export function parseRotationTold(text: string): RotationTold[] {
  const told: RotationTold[] = [];
  const items = text.split(',');
  for (let i = 0; i < items.length; i++) {
    const one = toldOf((items[i] as string).trim());
    if (one !== null) told.push(one);
  }
  return told;
}

/** The value of `Fuselink-Device`. */
export function formatDevicePosition(position: DevicePosition): string {
  const phase = position.phase === '' ? '' : ';phase=' + position.phase;
  return 'boot=' + position.boot + ';seq=' + position.sequence + ';tag=' + position.bootTag + phase;
}

/** The position in a `Fuselink-Device` field, or null where it is not exactly one. */
export function parseDevicePosition(text: string): DevicePosition | null {
  const boot = whole(word(text, 'boot'), GENERATION_MAX);
  const sequence = whole(word(text, 'seq'), SEQUENCE_MAX);
  const tag = word(text, 'tag');
  const phase = word(text, 'phase');
  if (boot === null || sequence === null || !isHex(tag, 8, 32)) return null;
  if (phase !== null && !/^[A-Z]+$/.test(phase)) return null;
  return { boot: boot, sequence: sequence, bootTag: tag as string, phase: phase === null ? '' : phase };
}
