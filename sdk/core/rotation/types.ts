/** The phases of DESIGN §6.1. Only the two slots are durable; the phase is worked out again at every boot. */
export type Phase = 'EMPTY' | 'SETTLED' | 'STAGED' | 'PROVING' | 'PROVEN' | 'LIMBO';

/** How a candidate comes to be: minted by the device, handed over by the server, or carried by an operator. */
export type RotationSource = 'self' | 'offer' | 'manual';

/**
 * What the agent knows of a slot. A slot record of the credential store fits (its key is not looked at and not kept).
 * `generation` is a u32; `base` and `fingerprint` are 16 hex characters.
 */
export interface SlotKey {
  generation: number;
  base: string;
  fingerprint: string;
}

/** Both slots in either order; null is a slot that is not exactly one valid record. */
export type SlotPair = (SlotKey | null)[];

/**
 * The agent's whole state, plain data. `base` is the settled key or the older of two; `turn` names the key the next
 * request is made with; `highestGeneration` is the newest generation seen since boot, so that a stale wish (a retained
 * message) does not wear the flash; `writing` is the slot write under way, during which nothing else is heard.
 */
export interface RotationState {
  phase: Phase;
  base: SlotKey | null;
  candidate: SlotKey | null;
  mirrored: boolean;
  turn: 'base' | 'candidate';
  baseRefused: boolean;
  recovery: boolean;
  highestGeneration: number;
  writing: string | null;
  failures: number;
}

/**
 * What can happen to the agent. Whatever names a key names its fingerprint. Only an authentic answer (verified TLS, or
 * a signature bound to the request) may become `revoked`, `settled`, `wanted`, `recoverable`, `candidate`,
 * `registered` or `accepted`: `rotationEventsOf` sees to that.
 */
export type RotationEvent =
  | { kind: 'booted'; slots: SlotPair }
  /** Somebody with the device in hand put a key into both slots. */
  | { kind: 'provisioned'; slots: SlotPair }
  /** The write under way ended, well or badly; `slots` is what reads back now. */
  | { kind: 'written'; slots: SlotPair }
  | { kind: 'wanted'; generation: number; base: string; source: RotationSource; recovery: boolean }
  /** The server would take a recovery proof from a device whose keys it revoked. */
  | { kind: 'recoverable'; generation: number; base: string }
  /** A candidate is at hand: minted after `mint`, unwrapped from an offer, or carried here by an operator. */
  | { kind: 'candidate'; generation: number; base: string; fingerprint: string }
  | { kind: 'registered'; fingerprint: string }
  /** An upload or status report under this key was committed. */
  | { kind: 'accepted'; fingerprint: string }
  | { kind: 'settled'; generation: number }
  /** `key_revoked` naming this key: the only authority to drop it. */
  | { kind: 'revoked'; fingerprint: string }
  /** `key_unknown`: the server does not know this key, yet or any more. */
  | { kind: 'unknown'; fingerprint: string }
  /** Timeout, 429, 5xx, `key_not_yet_valid`, or an answer nobody vouches for. */
  | { kind: 'failed' }
  /** The time asked for by the last `wake` has come. */
  | { kind: 'due' };

/**
 * What a driver is to do. Slots: `stage` writes `record` over the slot that does not hold `record.base`, `mirror`
 * copies the record of `fingerprint` over the other slot; after either, the driver reads both back and reports
 * `written`. Secrets stay with the driver, found by fingerprint.
 */
export type RotationEffect =
  | { kind: 'stage'; record: SlotKey }
  | { kind: 'mirror'; fingerprint: string }
  /** Mint a key from real entropy and answer with `candidate`. */
  | { kind: 'mint'; generation: number; base: string }
  /** Ask the server for its offer, under the key `by`. */
  | { kind: 'ask'; generation: number; by: string }
  /**
   * Tell the server the SHA-256 and fingerprint of this key. `by`: the key to sign with; null when only the recovery
   * secret can vouch. `recovery`: add the proof with the recovery secret; without one, `failed`.
   */
  | { kind: 'register'; record: SlotKey; by: string | null; recovery: boolean }
  /** Send an upload or a status report (`phase`, `generation`) under the key `by`. */
  | { kind: 'report'; by: string; phase: Phase; generation: number }
  /** Send `due` after a random delay in [0, delayMsMax], replacing an earlier wake. */
  | { kind: 'wake'; delayMsMax: number };
