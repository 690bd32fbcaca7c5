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

type Guard = (state: RotationState, event: RotationEvent) => boolean;
type Action = (state: RotationState, event: RotationEvent, effects: RotationEffect[]) => void;

function generationOf(event: RotationEvent): number {
  return (event as { generation: number }).generation;
}

function baseOf(event: RotationEvent): string {
  return (event as { base: string }).base;
}

/** The guards of the table, by name. Pure. */
export const ROTATION_GUARDS: { [name: string]: Guard } = {
  busy: function (state) {
    return state.writing !== null;
  },
  noKey: function (state) {
    return state.base === null;
  },
  twoKeys: function (state) {
    return state.candidate !== null;
  },
  staged: function (state) {
    return state.candidate !== null && state.candidate.fingerprint === state.writing;
  },
  mirrored: function (state) {
    return state.mirrored;
  },
  notMirrored: function (state) {
    return !state.mirrored;
  },
  baseRefused: function (state) {
    return state.baseRefused;
  },
  base: function (state, event) {
    return isNamed(state.base, event);
  },
  candidate: function (state, event) {
    return isNamed(state.candidate, event);
  },
  candidateGeneration: function (state, event) {
    return state.candidate !== null && state.candidate.generation === generationOf(event);
  },
  sameAsCandidate: function (state, event) {
    const candidate = state.candidate;
    return candidate !== null && candidate.generation === generationOf(event) && candidate.base === baseOf(event);
  },
  notNewer: function (state, event) {
    return generationOf(event) <= state.highestGeneration;
  },
  baseNotHeld: function (state, event) {
    const wanted = baseOf(event);
    const isBase = state.base !== null && state.base.fingerprint === wanted;
    return !isBase && !(state.candidate !== null && state.candidate.fingerprint === wanted);
  },
  bySelf: function (_state, event) {
    return event.kind === 'wanted' && event.source === 'self';
  },
  byOffer: function (_state, event) {
    return event.kind === 'wanted' && event.source === 'offer';
  },
};

function wake(effects: RotationEffect[], delayMsMax: number): void {
  effects.push({ kind: 'wake', delayMsMax: delayMsMax });
}

function backOff(state: RotationState, _event: RotationEvent, effects: RotationEffect[]): void {
  // 2^20 steps are past the cap; without the bound the power overflows after weeks offline.
  const steps = state.failures > 20 ? 20 : state.failures;
  const wide = BACK_OFF_MS_BASE * 2 ** steps;
  state.failures = steps + 1;
  wake(effects, wide < BACK_OFF_MS_MAX ? wide : BACK_OFF_MS_MAX);
}

function copyTo(state: RotationState, key: SlotKey, effects: RotationEffect[]): void {
  state.base = key;
  state.candidate = null;
  state.mirrored = false;
  state.turn = 'base';
  state.baseRefused = false;
  state.recovery = false;
  state.writing = key.fingerprint;
  effects.push({ kind: 'mirror', fingerprint: key.fingerprint });
}

function register(state: RotationState, by: SlotKey | null, effects: RotationEffect[]): void {
  effects.push({
    kind: 'register',
    record: candidateOrBase(state),
    by: by === null ? null : by.fingerprint,
    recovery: by === null || state.recovery,
  });
}

/** The actions of the table, by name. Each changes `state`, a copy that the step owns, and adds effects. */
export const ROTATION_ACTIONS: { [name: string]: Action } = {
  wake: function (_state, _event, effects) {
    wake(effects, WAKE_MS_MAX);
  },
  pace: function (_state, _event, effects) {
    wake(effects, PACE_MS);
  },
  backOff: backOff,
  stage: function (state, event, effects) {
    const record = { generation: generationOf(event), base: baseOf(event), fingerprint: '' };
    record.fingerprint = (event as { fingerprint: string }).fingerprint;
    // A newer generation on the candidate says that the base is done with: what it refused no longer matters.
    if (state.candidate !== null && state.candidate.fingerprint === record.base) state.baseRefused = false;
    state.writing = record.fingerprint;
    effects.push({ kind: 'stage', record: record });
  },
  mint: function (state, event, effects) {
    state.recovery = event.kind !== 'wanted' || event.recovery;
    effects.push({ kind: 'mint', generation: generationOf(event), base: baseOf(event) });
  },
  ask: function (_state, event, effects) {
    effects.push({ kind: 'ask', generation: generationOf(event), by: baseOf(event) });
  },
  register: function (state, event, effects) {
    if (event.kind === 'wanted') state.recovery = event.recovery;
    register(state, state.baseRefused ? null : state.base, effects);
  },
  recover: function (state, _event, effects) {
    register(state, null, effects);
  },
  report: function (state, _event, effects) {
    const key = keyToSend(state);
    const generation = candidateOrBase(state).generation;
    effects.push({ kind: 'report', by: key.fingerprint, phase: state.phase, generation: generation });
  },
  alternate: function (state, event, effects) {
    const skipBase = state.baseRefused && state.phase !== 'LIMBO';
    state.turn = state.candidate !== null && (skipBase || state.turn === 'base') ? 'candidate' : 'base';
    backOff(state, event, effects);
  },
  refuseBase: function (state) {
    state.baseRefused = true;
    if (state.candidate !== null) state.turn = 'candidate';
  },
  useCandidate: function (state) {
    state.turn = 'candidate';
  },
  trust: function (state) {
    state.baseRefused = false;
  },
  mirror: function (state, _event, effects) {
    copyTo(state, state.base as SlotKey, effects);
  },
  dropCandidate: function (state, _event, effects) {
    copyTo(state, state.base as SlotKey, effects);
  },
  dropBase: function (state, _event, effects) {
    copyTo(state, state.candidate as SlotKey, effects);
  },
};
