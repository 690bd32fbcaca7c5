import { candidateOrBase, isNamed, keyToSend } from './state.ts';
import type { RotationEffect, RotationEvent, RotationState, SlotKey } from './types.ts';

/** First attempts are spread over this, so that a fleet that comes back at once does not arrive at once. */
export const WAKE_MS_MAX = 2000;
/** The first step of the back-off, doubled with every failure. */
export const BACK_OFF_MS_BASE = 5000;
/** The slow retry: never longer, so that a device that waits in LIMBO is back within the hour it is healed. */
export const BACK_OFF_MS_MAX = 3600000;
/** How often a proven device asks whether it is settled; its ordinary uploads learn it sooner. */
export const PACE_MS = 900000;

/** The fields that rows read; the row's event has them. */
type Fields = { generation: number; base: string; fingerprint: string; source: string; recovery: boolean };

function read(event: RotationEvent): Fields {
  return event as unknown as Fields;
}

function isStale(state: RotationState, event: RotationEvent): boolean {
  return read(event).generation <= state.highestGeneration;
}

function isHeld(state: RotationState, event: RotationEvent): boolean {
  const base = state.base;
  const candidate = state.candidate;
  const named = read(event).base;
  return !!((base && base.fingerprint === named) || (candidate && candidate.fingerprint === named));
}

/** What `writing` says of a key that is copied over the other slot: another thing than that it is staged. */
function copyOf(fingerprint: string): string {
  return '=' + fingerprint;
}

/** The guards of the table. */
export const GUARD_NAMES = [
  'busy',
  'noKey',
  'twoKeys',
  'kept',
  'staged',
  'mirrored',
  'torn',
  'refused',
  'base',
  'candidate',
  'sameAge',
  'again',
  'stale',
  'held',
  'fresh',
  'bySelf',
  'byOffer',
] as const;
export type GuardName = (typeof GUARD_NAMES)[number];

/**
 * Whether a guard of the table holds. Pure. One function with a switch and not one for each: on Espruino every function
 * costs half a dozen blocks of RAM, and its text none.
 */
export function guardHolds(name: GuardName, state: RotationState, event: RotationEvent): boolean {
  const candidate = state.candidate;
  switch (name) {
    case 'busy':
      return state.writing !== null;
    case 'noKey':
      return !state.base;
    case 'twoKeys':
      return !!candidate;
    // The proven key was to be copied over the old one, and both still read back.
    case 'kept':
      return !!candidate && state.writing === copyOf(candidate.fingerprint);
    // The candidate that was being written reads back.
    case 'staged':
      return !!candidate && candidate.fingerprint === state.writing;
    case 'mirrored':
      return state.mirrored;
    case 'torn':
      return !state.mirrored;
    // The server called the base revoked.
    case 'refused':
      return state.baseRefused;
    case 'base':
      return isNamed(state.base, event);
    case 'candidate':
      return isNamed(candidate, event);
    case 'sameAge':
      return !!candidate && candidate.generation === read(event).generation;
    // The wish for the candidate at hand.
    case 'again':
      return !!candidate && candidate.generation === read(event).generation && candidate.base === read(event).base;
    // Not newer than everything seen since boot.
    case 'stale':
      return isStale(state, event);
    // Its base is in a slot.
    case 'held':
      return isHeld(state, event);
    case 'fresh':
      return !isStale(state, event) && isHeld(state, event);
    case 'bySelf':
      return read(event).source === 'self';
    case 'byOffer':
      return read(event).source === 'offer';
  }
}

function backOff(state: RotationState, effects: RotationEffect[]): void {
  // 2^10 steps are past the cap; without the bound the shift overflows after weeks offline.
  const steps = state.failures > 10 ? 10 : state.failures;
  const wide = BACK_OFF_MS_BASE << steps;
  state.failures = steps + 1;
  effects.push({ kind: 'wake', delayMsMax: wide < BACK_OFF_MS_MAX ? wide : BACK_OFF_MS_MAX });
}

/** Goes on with this key alone, and copies it over the other slot. */
function copyOver(state: RotationState, key: SlotKey | null, effects: RotationEffect[]): void {
  state.base = key;
  state.candidate = null;
  state.mirrored = state.baseRefused = state.recovery = false;
  state.turn = 'base';
  const fingerprint = (key as SlotKey).fingerprint;
  state.writing = copyOf(fingerprint);
  effects.push({ kind: 'mirror', fingerprint: fingerprint });
}

function register(state: RotationState, by: SlotKey | null, effects: RotationEffect[]): void {
  effects.push({
    kind: 'register',
    record: candidateOrBase(state),
    by: by && by.fingerprint,
    recovery: !by || state.recovery,
  });
}

/** The actions of the table. */
export const ACTION_NAMES = [
  'wake',
  'pace',
  'backOff',
  'stage',
  'mint',
  'ask',
  'register',
  'recover',
  'report',
  'alternate',
  'refuse',
  'useCandidate',
  'trust',
  'mirror',
  'dropCandidate',
  'dropBase',
] as const;
export type ActionName = (typeof ACTION_NAMES)[number];

/** Does what an action of the table says: changes `state`, a copy that the step owns, and adds effects. */
export function act(name: ActionName, state: RotationState, event: RotationEvent, effects: RotationEffect[]): void {
  const said = read(event);
  switch (name) {
    case 'wake':
      effects.push({ kind: 'wake', delayMsMax: WAKE_MS_MAX });
      break;
    case 'pace':
      effects.push({ kind: 'wake', delayMsMax: PACE_MS });
      break;
    case 'backOff':
      backOff(state, effects);
      break;
    case 'stage':
      // A newer generation on the candidate says that the base is done with: what it refused no longer matters.
      if (state.candidate && state.candidate.fingerprint === said.base) state.baseRefused = false;
      state.writing = said.fingerprint;
      effects.push({
        kind: 'stage',
        record: { generation: said.generation, base: said.base, fingerprint: said.fingerprint },
      });
      break;
    case 'mint':
      state.recovery = event.kind !== 'wanted' || event.recovery;
      effects.push({ kind: 'mint', generation: said.generation, base: said.base });
      break;
    case 'ask':
      effects.push({ kind: 'ask', generation: said.generation, by: said.base });
      break;
    case 'register':
      if (event.kind === 'wanted') state.recovery = event.recovery;
      register(state, state.baseRefused ? null : state.base, effects);
      break;
    case 'recover':
      register(state, null, effects);
      break;
    case 'report':
      effects.push({
        kind: 'report',
        by: keyToSend(state).fingerprint,
        phase: state.phase,
        generation: candidateOrBase(state).generation,
      });
      break;
    case 'alternate': {
      const skipBase = state.baseRefused && state.phase !== 'LIMBO';
      state.turn = state.candidate && (skipBase || state.turn === 'base') ? 'candidate' : 'base';
      backOff(state, effects);
      break;
    }
    case 'refuse':
      state.baseRefused = true;
      if (state.candidate) state.turn = 'candidate';
      break;
    case 'useCandidate':
      state.turn = 'candidate';
      break;
    case 'trust':
      state.baseRefused = false;
      break;
    case 'mirror':
    case 'dropCandidate':
      copyOver(state, state.base, effects);
      break;
    case 'dropBase':
      copyOver(state, state.candidate, effects);
      break;
  }
}
