import type { SeenSlot } from './slot-bytes.ts';

/** Why a device may be without a key that works, or a key may be gone, by no fault of the protocol. */
export type Excuse = 'restored' | 'cloned' | 'revoked-by-operator' | 'rot';

export interface KeySeen {
  generation: number | null;
  /** Order of the registration (or offer, or enrolment) that made it known. */
  registeredAt: number;
  /** Key that vouched for it. */
  registeredBy: string | null;
  /** Order of the first and last commit under it; 0: none. */
  firstCommitAt: number;
  lastCommitAt: number;
  /** Order of the last request under it, and how many there were since another key was last used. */
  lastUseAt: number;
  usesInARow: number;
  /** A commit under it may have been stored without an answer. */
  mayHaveCommitted: boolean;
  /** Order at which it was first called revoked; 0: never. */
  revokedAt: number;
}

/** An order of an operator that may move this device's keys. */
export interface OrderSeen {
  verb: string;
  at: number;
}

/** All that was seen of one device. */
export interface DeviceWatch {
  slots: (SeenSlot | null)[];
  keys: Map<string, KeySeen>;
  /** Keys the device was told are revoked. */
  authority: Set<string>;
  settledHeard: Set<number>;
  /** Generation of the newest wish heard on each base. */
  wishHeard: Map<string, number>;
  highestGeneration: number;
  /** The highest that was told as wanted, and when. */
  generationTold: number;
  generationToldAt: number;
  /** Of the newest key that was taken up. */
  generationRegistered: number;
  orders: OrderSeen[];
  excuses: Set<Excuse>;
  /** A key is being put on it by hand: its slots may hold anything. */
  inHand: boolean;
  /** A proof with its recovery secret was accepted. */
  recoveredAt: number;
  quarantined: boolean;
  /** It was deleted: none of its keys may work. */
  gone: boolean;
}

export function newWatch(): DeviceWatch {
  return {
    slots: [null, null],
    keys: new Map(),
    authority: new Set(),
    settledHeard: new Set(),
    wishHeard: new Map(),
    highestGeneration: -1,
    generationTold: -1,
    generationToldAt: 0,
    generationRegistered: -1,
    orders: [],
    excuses: new Set(),
    inHand: false,
    recoveredAt: 0,
    quarantined: false,
    gone: false,
  };
}

export function keySeen(watch: DeviceWatch, fingerprint: string): KeySeen {
  const known = watch.keys.get(fingerprint);
  if (known !== undefined) return known;
  const fresh: KeySeen = {
    generation: null,
    registeredAt: 0,
    registeredBy: null,
    firstCommitAt: 0,
    lastCommitAt: 0,
    lastUseAt: 0,
    usesInARow: 0,
    mayHaveCommitted: false,
    revokedAt: 0,
  };
  watch.keys.set(fingerprint, fresh);
  return fresh;
}

export function holdsKey(watch: DeviceWatch, fingerprint: string): boolean {
  return watch.slots[0]?.fingerprint === fingerprint || watch.slots[1]?.fingerprint === fingerprint;
}
