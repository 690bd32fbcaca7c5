import { KEY_BYTES } from '#sdk/protocol';
import { equalBytes } from '../bytes/index.ts';
import { NVS_INVALID_LENGTH, NVS_INVALID_STATE, NVS_NOT_FOUND, nvsError } from './errors.ts';
import type { FlashPages } from './flash-pages.ts';
import type { ApiKey, Sha256 } from './key.ts';
import { fingerprintOf } from './key.ts';
import type { Nvs } from './nvs.ts';
import type { SlotRecord } from './record.ts';
import { decodeSlot, encodeSlot, NO_BASE, SLOT_BYTES } from './record.ts';

export const CREDENTIAL_NAMESPACE = 'fuselink';
export const SLOT_NAMES = ['slot0', 'slot1'];

/** What the two slots say. All of a device's rotation state at boot follows from this (DESIGN §6.1). */
export interface SlotsView {
  /** `empty`: no slot is valid. `settled`: one key. `two-keys`: a base and its candidate. */
  state: 'empty' | 'settled' | 'two-keys';
  /** The settled key, or the older of two. */
  base: SlotRecord | null;
  candidate: SlotRecord | null;
  /** Both slots hold the settled key. When not (a cut, bit rot), `settle(base.fingerprint)` heals it. */
  mirrored: boolean;
}

/** `base_unknown`: no valid slot holds the base. `stale`: not newer than both slots. */
export type StageOutcome = 'staged' | 'base_unknown' | 'stale';

/** What a pair of slots says. */
export function viewOfSlots(pair: (SlotRecord | null)[]): SlotsView {
  const first = pair[0] || null;
  const second = pair[1] || null;
  let base = first || second;
  let candidate: SlotRecord | null = null;
  let mirrored = false;
  if (first && second) {
    const newer = second.generation > first.generation || second.base === first.fingerprint ? second : first;
    base = newer === second ? first : second;
    if (first.fingerprint === second.fingerprint) {
      base = newer;
      mirrored = first.generation === second.generation;
    } else candidate = newer;
  }
  return {
    state: candidate ? 'two-keys' : base ? 'settled' : 'empty',
    base: base,
    candidate: candidate,
    mirrored: mirrored,
  };
}

/**
 * The two durable slots. Nothing here counts attempts, looks at a clock or erases: a slot is only ever overwritten by
 * a record that is then read back, and never the slot whose key the other one depends on. A full store
 * (NVS_NO_FREE_PAGES) throws and leaves both slots as they are; the idiom of erasing the partition would lose the keys.
 */
export interface SlotWriter {
  /** Both slots as the medium has them now; null is a slot that is not exactly one valid record. */
  pair(): (SlotRecord | null)[];
  /** Puts one key into both slots, one after the other: first enrolment, recovery, or an operator's new key. */
  provision(key: ApiKey, generation: number): SlotRecord;
  /** Writes a candidate beside its base, reads it back, and only then answers `staged`. Repeats are harmless. */
  stage(key: ApiKey, generation: number, base: string): StageOutcome;
  /** Copies the record of this fingerprint over the other slot. False when no valid slot holds it (nothing is done). */
  settle(fingerprint: string): boolean;
}

/** Where two blobs live: as little as the slots need, so that a small device carries no more than that. */
export interface SlotStore {
  /** The blob of slot 0 or 1, read from the medium, or null. */
  read(slot: number): Uint8Array | null;
  /** Returns when it is durable. A cut may leave the slot empty, but never touches the other. */
  write(slot: number, blob: Uint8Array): void;
}

/**
 * The slots in the first two of some flash pages, a record at the start of each and nothing else: it has a checksum of its
 * own, so a small device does without the one of `flashNvs`.
 */
export function flashSlotStore(flash: FlashPages): SlotStore {
  return {
    read: function (slot) {
      return flash.read(slot * flash.pageBytes, SLOT_BYTES);
    },
    write: function (slot, blob) {
      flash.erase(slot);
      flash.program(slot * flash.pageBytes, blob);
    },
  };
}

/** The slots as two blobs of an NVS-style store. Throws what `nvs.open` throws. */
export function nvsSlotStore(nvs: Nvs): SlotStore {
  const handle = nvs.open(CREDENTIAL_NAMESPACE, 'rw');
  return {
    read: function (slot) {
      try {
        return handle.get(SLOT_NAMES[slot] as string);
      } catch (error) {
        if ((error as { code?: number }).code === NVS_NOT_FOUND) return null;
        throw error;
      }
    },
    write: function (slot, blob) {
      handle.set(SLOT_NAMES[slot] as string, blob);
      handle.commit();
    },
  };
}

/** Two slots with no rule but one: what was written is read back. */
export interface RawSlots {
  /** Both slots as the medium has them now; null is a slot that is not exactly one valid record. */
  pair(): (SlotRecord | null)[];
  /** Returns when the record is durable; throws NVS_INVALID_STATE where it does not read back. */
  put(slot: number, record: SlotRecord): void;
}

/** The slots of a store as records. A write that changes nothing is left out. */
export function rawSlots(store: SlotStore): RawSlots {
  const holds = function (slot: number, bytes: Uint8Array): boolean {
    const blob = store.read(slot);
    return !!blob && equalBytes(blob, bytes);
  };
  return {
    pair: function () {
      return [0, 1].map((slot) => {
        const blob = store.read(slot);
        return blob && decodeSlot(blob);
      });
    },
    put: function (slot, record) {
      const bytes = encodeSlot(record);
      if (holds(slot, bytes)) return;
      store.write(slot, bytes);
      if (!holds(slot, bytes))
        throw nvsError(NVS_INVALID_STATE, 'slot ' + slot + ' does not read back as it was written');
    },
  };
}

/**
 * Writes a record into the slot that does not hold the key of this fingerprint: beside it, never over it. Without a record
 * the key's own is copied there. False when no valid slot holds that key; then nothing is done.
 */
export function putBeside(slots: RawSlots, fingerprint: string, record: SlotRecord | null): boolean {
  const pair = slots.pair();
  const at = pair[0] && pair[0].fingerprint === fingerprint ? 0 : 1;
  const kept = pair[at];
  if (!kept || kept.fingerprint !== fingerprint) return false;
  slots.put(1 - at, record || kept);
  return true;
}

/** The two slots over any store. The key bytes enter no message. */
export function slotsOver(store: SlotStore, sha256: Sha256): SlotWriter {
  const raw = rawSlots(store);
  const make = function (key: ApiKey, generation: number, base: string): SlotRecord {
    const length = key.bytes().length;
    if (length !== KEY_BYTES) throw nvsError(NVS_INVALID_LENGTH, 'a key is 32 bytes, this one is ' + length);
    return { generation: generation, base: base, fingerprint: fingerprintOf(sha256, key), key: key };
  };

  return {
    pair: raw.pair,
    provision: function (key, generation) {
      const record = make(key, generation, NO_BASE);
      raw.put(0, record);
      raw.put(1, record);
      return record;
    },
    stage: function (key, generation, base) {
      const record = make(key, generation, base);
      const pair = raw.pair();
      const at = pair[0] && pair[0].fingerprint === base ? 0 : 1;
      const kept = pair[at];
      const other = pair[1 - at];
      if (!kept || kept.fingerprint !== base) return 'base_unknown';
      if (record.fingerprint === base || generation <= kept.generation) return 'stale';
      // An equal generation would overwrite a candidate that may have been proven meanwhile; a cut in that write loses it.
      const repeat = other && other.fingerprint === record.fingerprint && other.generation === generation;
      if (other && generation <= other.generation && !repeat) return 'stale';
      raw.put(1 - at, record);
      return 'staged';
    },
    settle: function (fingerprint) {
      return putBeside(raw, fingerprint, null);
    },
  };
}

export interface CredentialSlots extends SlotWriter {
  /** Reads both slots and says what they mean together. Throws what the store throws, except NVS_NOT_FOUND. */
  look(): SlotsView;
}

/** The two slots in an NVS-style store. Throws what `nvs.open` throws. */
export function openSlots(nvs: Nvs, sha256: Sha256): CredentialSlots {
  const slots = slotsOver(nvsSlotStore(nvs), sha256);
  return {
    pair: slots.pair,
    provision: slots.provision,
    stage: slots.stage,
    settle: slots.settle,
    look: function () {
      return viewOfSlots(slots.pair());
    },
  };
}
