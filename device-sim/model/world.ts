import type { RotationOutcome, RotationRow } from '#server';
import type { RotationEvent, RotationState, SlotKey } from './device-tables.ts';

/** A key's state at the server. */
export type KeyState = RotationOutcome['keys'][number]['to'];

/** One device: what its two slots hold when the power is cut, and what its agent knows until then. */
export interface DeviceSide {
  slots: readonly (SlotKey | null)[];
  agent: RotationState;
}

/** One server: the device's row, and its keys by fingerprint. A fingerprint that is not there is unknown. */
export interface ServerSide {
  row: RotationRow;
  keys: Readonly<Record<string, KeyState>>;
}

/** A request the device put on the wire. */
export type Request =
  | { kind: 'commit'; by: string }
  | { kind: 'ask'; by: string; generation: number }
  | { kind: 'register'; by: string | null; record: SlotKey; recovery: boolean };

/**
 * All that was ever sent and can still matter. Nothing is taken out by delivery, and nothing has to be delivered: that
 * is unbounded loss, repetition, reordering and delay at once.
 */
export interface Network {
  requests: readonly Request[];
  answers: readonly RotationEvent[];
}

/** Everything else: the operator, and faults that may happen once. */
export interface Surroundings {
  /** A command decided on what was read earlier, and not yet stored: lost when the server crashes. */
  decision: { name: 'abort' | 'rollBack'; outcome: RotationOutcome } | null;
  /** A slot has rotted. */
  rotted: boolean;
  /** Quarantined or declared lost by the operator, once. */
  incident: boolean;
}

export interface World {
  device: DeviceSide;
  server: ServerSide;
  network: Network;
  around: Surroundings;
}

/** The server's names for the states in which it takes a key, be it for a report only. */
export const ACCEPTED_STATES: readonly KeyState[] = ['active', 'pending', 'retiring', 'quarantined'];

/** A world where the device could not reach the server again: no valid slot holds a key that the server takes. */
export function isBricked(world: World): boolean {
  if (world.server.row.state === 'LOST') return false;
  return !world.device.slots.some((slot) => {
    const state = slot === null ? undefined : world.server.keys[slot.fingerprint];
    return state !== undefined && ACCEPTED_STATES.includes(state);
  });
}

/** The device and the server agree on one key, and nothing is under way. */
export function isSettled(world: World): boolean {
  const { agent } = world.device;
  const { row, keys } = world.server;
  if (row.state !== 'IDLE' || agent.phase !== 'SETTLED' || !agent.mirrored || agent.base === null) return false;
  return agent.base.fingerprint === row.active && keys[agent.base.fingerprint] === 'active';
}
