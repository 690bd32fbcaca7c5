import { copyState, keyToSend, takeSlots, unbootedRotation } from './state.ts';
import { takeRow } from './take.ts';
import type { RotationEffect, RotationEvent, RotationState } from './types.ts';

export interface RotationStep {
  state: RotationState;
  /** To be performed in this order. */
  effects: RotationEffect[];
}

export type TakeRow = (state: RotationState, event: RotationEvent, effects: RotationEffect[]) => void;

/** `stepRotation` over any way to take a row. */
export function stepTaking(take: TakeRow, before: RotationState, event: RotationEvent): RotationStep {
  // A boot forgets all but the slots; a provisioning is the start of another life.
  const fresh = event.kind === 'booted' || event.kind === 'provisioned';
  const state = fresh ? unbootedRotation() : copyState(before);
  const effects: RotationEffect[] = [];
  if (fresh || event.kind === 'written') takeSlots(state, (event as { slots: RotationState['base'][] }).slots);
  if (event.kind === 'accepted' || event.kind === 'registered') state.failures = 0;
  take(state, event, effects);
  return { state: state, effects: effects };
}

/**
 * The rotation agent: one event in, the next state and what to do out. Pure, and total: an event that fits no row
 * changes nothing, so repeats, replays and reordering are harmless. Rows, phases and words: DESIGN.md in this folder.
 */
export function stepRotation(state: RotationState, event: RotationEvent): RotationStep {
  return stepTaking(takeRow, state, event);
}

/** Fingerprint of the key that uploads are to be made with now, or null: no key, or none the server takes (LIMBO). */
export function fingerprintToSend(state: RotationState): string | null {
  if (state.phase === 'EMPTY' || state.phase === 'LIMBO') return null;
  return state.phase === 'STAGED' && state.base !== null && !state.baseRefused
    ? state.base.fingerprint
    : keyToSend(state).fingerprint;
}
