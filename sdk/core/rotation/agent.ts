import { copyState, keyToSend, takeSlots, unbootedRotation } from './state.ts';
import type { DeviceRow, DeviceRows } from './table.ts';
import { DEVICE_ROWS } from './table.ts';
import type { Phase, RotationEffect, RotationEvent, RotationState } from './types.ts';
import { ROTATION_ACTIONS, ROTATION_GUARDS } from './words.ts';

export interface RotationStep {
  state: RotationState;
  /** To be performed in this order. */
  effects: RotationEffect[];
}

/** Rows and the words they use. The model checker passes patched ones; the product has exactly one. */
export interface DeviceMachine {
  rows: DeviceRows;
  guards: typeof ROTATION_GUARDS;
  actions: typeof ROTATION_ACTIONS;
}

const DEVICE_MACHINE: DeviceMachine = { rows: DEVICE_ROWS, guards: ROTATION_GUARDS, actions: ROTATION_ACTIONS };

function fits(machine: DeviceMachine, row: DeviceRow, state: RotationState, event: RotationEvent): boolean {
  if (row.events[0] !== '*' && row.events.indexOf(event.kind) < 0) return false;
  if (row.phases[0] !== '*' && row.phases.indexOf(state.phase) < 0) return false;
  for (let i = 0; i < row.guards.length; i++) {
    const guard = machine.guards[row.guards[i] as string] as (typeof ROTATION_GUARDS)[string];
    if (!guard(state, event)) return false;
  }
  return true;
}

/** `stepRotation` over any rows of the same form. */
export function stepRotationWith(machine: DeviceMachine, before: RotationState, event: RotationEvent): RotationStep {
  // A boot forgets all but the slots; a provisioning is the start of another life.
  const reads = event.kind === 'booted' || event.kind === 'provisioned' || event.kind === 'written';
  const state = reads && event.kind !== 'written' ? unbootedRotation() : copyState(before);
  const effects: RotationEffect[] = [];
  if (reads) takeSlots(state, (event as { slots: RotationState['base'][] }).slots);
  if (event.kind === 'accepted' || event.kind === 'registered') state.failures = 0;
  for (let i = 0; i < machine.rows.count; i++) {
    const row = machine.rows.at(i);
    if (!fits(machine, row, state, event)) continue;
    if (row.next !== '=') state.phase = row.next as Phase;
    if (reads) state.writing = null;
    for (let j = 0; j < row.actions.length; j++) {
      const action = machine.actions[row.actions[j] as string] as (typeof ROTATION_ACTIONS)[string];
      action(state, event, effects);
    }
    break;
  }
  return { state: state, effects: effects };
}

/**
 * The rotation agent: one event in, the next state and what to do out. Pure, and total: an event that fits no row
 * changes nothing, so repeats, replays and reordering are harmless. Rows, phases and words: DESIGN.md in this folder.
 */
export function stepRotation(state: RotationState, event: RotationEvent): RotationStep {
  return stepRotationWith(DEVICE_MACHINE, state, event);
}

/** Fingerprint of the key that uploads are to be made with now, or null: no key, or none the server takes (LIMBO). */
export function fingerprintToSend(state: RotationState): string | null {
  if (state.phase === 'EMPTY' || state.phase === 'LIMBO') return null;
  return state.phase === 'STAGED' && state.base !== null && !state.baseRefused
    ? state.base.fingerprint
    : keyToSend(state).fingerprint;
}
