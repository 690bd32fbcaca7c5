import type { RotationEvent, RotationState, SlotKey, SlotPair } from './types.ts';

/** The agent before it has looked at its slots. Send it `booted`. */
export function unbootedRotation(): RotationState {
  return {
    phase: 'EMPTY',
    base: null,
    candidate: null,
    mirrored: false,
    turn: 'base',
    baseRefused: false,
    recovery: false,
    highestGeneration: -1,
    writing: null,
    failures: 0,
  };
}

/** A copy that a step may change. */
export function copyState(state: RotationState): RotationState {
  const copy = {} as { [name: string]: unknown };
  for (const name in state) copy[name] = state[name as keyof RotationState];
  return copy as unknown as RotationState;
}

/** The three words of a slot, and nothing else of what was passed: a key must not get into the agent's state. */
function wordsOf(slot: SlotKey | null): SlotKey | null {
  return slot && { generation: slot.generation, base: slot.base, fingerprint: slot.fingerprint };
}

/**
 * Works out base and candidate from any pair of slots, in place. Of two different keys the newer generation is the
 * candidate; the same key twice is one key, in the newer of its records.
 */
export function takeSlots(state: RotationState, slots: SlotPair): void {
  const first = slots[0] || null;
  const second = slots[1] || null;
  const secondIsNewer = !first || (second && second.generation > first.generation);
  const newer = secondIsNewer ? second : first;
  const older = secondIsNewer ? first : second;
  const same = !older || !newer || older.fingerprint === newer.fingerprint;
  state.base = wordsOf(same ? newer : older);
  state.candidate = same ? null : wordsOf(newer);
  state.mirrored = !!older && !!newer && same && older.generation === newer.generation;
  state.turn = same ? 'base' : 'candidate';
  if (newer && newer.generation > state.highestGeneration) state.highestGeneration = newer.generation;
}

/** The key the next request is made with. Only for states that hold one. */
export function keyToSend(state: RotationState): SlotKey {
  return (state.turn === 'candidate' && state.candidate ? state.candidate : state.base) as SlotKey;
}

export function candidateOrBase(state: RotationState): SlotKey {
  return (state.candidate || state.base) as SlotKey;
}

/** Whether the event names this key. */
export function isNamed(key: SlotKey | null, event: RotationEvent): boolean {
  return !!key && (event as { fingerprint?: string }).fingerprint === key.fingerprint;
}
