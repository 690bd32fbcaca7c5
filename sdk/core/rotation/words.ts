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

/** The fields that rows read; the row's event has them. */
type Fields = { generation: number; base: string; fingerprint: string; source: string; recovery: boolean };

function read(event: RotationEvent): Fields {
  return event as unknown as Fields;
}

function holds(state: RotationState, fingerprint: string): boolean {
  const base = state.base;
  const candidate = state.candidate;
  return !!((base && base.fingerprint === fingerprint) || (candidate && candidate.fingerprint === fingerprint));
}

function isStale(state: RotationState, event: RotationEvent): boolean {
  return read(event).generation <= state.highestGeneration;
}

/** The guards of the table, by name. Pure. */
export const ROTATION_GUARDS: { [name: string]: Guard } = {
  busy: (state) => state.writing !== null,
  noKey: (state) => !state.base,
  twoKeys: (state) => !!state.candidate,
  /** The proven key was to be copied over the old one, and both still read back. */
  kept: (state) => !!state.candidate && state.writing === copyOf(state.candidate.fingerprint),
  /** The candidate that was being written reads back. */
  staged: (state) => !!state.candidate && state.candidate.fingerprint === state.writing,
  mirrored: (state) => state.mirrored,
  torn: (state) => !state.mirrored,
  /** The server called the base revoked. */
  refused: (state) => state.baseRefused,
  base: (state, event) => isNamed(state.base, event),
  candidate: (state, event) => isNamed(state.candidate, event),
  sameAge: (state, event) => !!state.candidate && state.candidate.generation === read(event).generation,
  /** The wish for the candidate at hand. */
  again: (state, event) => {
    const candidate = state.candidate;
    return !!candidate && candidate.generation === read(event).generation && candidate.base === read(event).base;
  },
  /** Not newer than everything seen since boot. */
  stale: isStale,
  /** Its base is in a slot. */
  held: (state, event) => holds(state, read(event).base),
  fresh: (state, event) => !isStale(state, event) && holds(state, read(event).base),
  bySelf: (_state, event) => read(event).source === 'self',
  byOffer: (_state, event) => read(event).source === 'offer',
};

function wake(effects: RotationEffect[], delayMsMax: number): void {
  effects.push({ kind: 'wake', delayMsMax: delayMsMax });
}

const backOff: Action = (state, _event, effects) => {
  // 2^20 steps are past the cap; without the bound the power overflows after weeks offline.
  const steps = state.failures > 20 ? 20 : state.failures;
  const wide = BACK_OFF_MS_BASE * 2 ** steps;
  state.failures = steps + 1;
  wake(effects, wide < BACK_OFF_MS_MAX ? wide : BACK_OFF_MS_MAX);
};

/** What `writing` says of a key that is copied over the other slot: another thing than that it is staged. */
function copyOf(fingerprint: string): string {
  return `=${fingerprint}`;
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

const backToBase: Action = (state, _event, effects) => copyOver(state, state.base, effects);

/** The actions of the table, by name. Each changes `state`, a copy that the step owns, and adds effects. */
export const ROTATION_ACTIONS: { [name: string]: Action } = {
  wake: (_state, _event, effects) => wake(effects, WAKE_MS_MAX),
  pace: (_state, _event, effects) => wake(effects, PACE_MS),
  backOff: backOff,
  stage: (state, event, effects) => {
    const said = read(event);
    const record = { generation: said.generation, base: said.base, fingerprint: said.fingerprint };
    // A newer generation on the candidate says that the base is done with: what it refused no longer matters.
    if (state.candidate && state.candidate.fingerprint === record.base) state.baseRefused = false;
    state.writing = record.fingerprint;
    effects.push({ kind: 'stage', record: record });
  },
  mint: (state, event, effects) => {
    state.recovery = event.kind !== 'wanted' || event.recovery;
    effects.push({ kind: 'mint', generation: read(event).generation, base: read(event).base });
  },
  ask: (_state, event, effects) => {
    effects.push({ kind: 'ask', generation: read(event).generation, by: read(event).base });
  },
  register: (state, event, effects) => {
    if (event.kind === 'wanted') state.recovery = event.recovery;
    register(state, state.baseRefused ? null : state.base, effects);
  },
  recover: (state, _event, effects) => register(state, null, effects),
  report: (state, _event, effects) => {
    const generation = candidateOrBase(state).generation;
    effects.push({ kind: 'report', by: keyToSend(state).fingerprint, phase: state.phase, generation: generation });
  },
  alternate: (state, event, effects) => {
    const skipBase = state.baseRefused && state.phase !== 'LIMBO';
    state.turn = state.candidate && (skipBase || state.turn === 'base') ? 'candidate' : 'base';
    backOff(state, event, effects);
  },
  refuse: (state) => {
    state.baseRefused = true;
    if (state.candidate) state.turn = 'candidate';
  },
  useCandidate: (state) => {
    state.turn = 'candidate';
  },
  trust: (state) => {
    state.baseRefused = false;
  },
  mirror: backToBase,
  dropCandidate: backToBase,
  dropBase: (state, _event, effects) => copyOver(state, state.candidate, effects),
};
