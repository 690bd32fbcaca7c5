import type { InvariantName } from './invariants.ts';
import type { SeenSlot } from './slot-bytes.ts';
import type { DeviceWatch } from './watch.ts';

/** Contacts under the old key alone after which a server takes the new one for lost (DESIGN §6.2). */
const OLD_CONTACTS = 20;

const UNDOES = ['abort', 'roll-back', 'quarantine', 'lose', 'remove', 'approve', 'reprovision', 'release'];

export type Verdict = { ok: true } | { ok: false; breaks: InvariantName; what: string };

/** Whether what was seen explains that this key is revoked. */
export function whyRevoked(
  watch: DeviceWatch,
  fingerprint: string,
  campaignOrders: readonly { verb: string; at: number }[],
): Verdict {
  const key = watch.keys.get(fingerprint);
  // Never used for anything that was stored: superseded, expired, refused or aborted keys end so.
  const inUse = key !== undefined && key.firstCommitAt > 0;
  if (!inUse || watch.excuses.size > 0) return { ok: true };
  for (const [name, other] of watch.keys) {
    if (name === fingerprint || other.registeredAt < key.registeredAt) continue;
    // A newer key has been used for something that was stored, or may have been.
    if (other.firstCommitAt > 0 || other.mayHaveCommitted) return { ok: true };
  }
  for (const [name, other] of watch.keys) {
    const older = name !== fingerprint && other.registeredAt < key.registeredAt;
    if (older && other.usesInARow >= OLD_CONTACTS && other.lastUseAt > key.lastUseAt) return { ok: true };
  }
  if (watch.recoveredAt > key.registeredAt) return { ok: true };
  const undone = [...watch.orders, ...campaignOrders].filter(
    ({ verb, at }) => UNDOES.includes(verb) && at > key.registeredAt,
  );
  // An abort takes back what is not proven, and nothing else.
  if (undone.some(({ verb }) => verb !== 'abort')) return { ok: true };
  const breaks = undone.length > 0 ? 'I7' : 'I2';
  return {
    ok: false,
    breaks,
    what: `${fingerprint} was in use and is revoked, and nothing was stored under a newer key`,
  };
}

/** What is wrong with `slot` being in neither slot any more; null: nothing. */
export function whyDropped(watch: DeviceWatch, slot: SeenSlot, now: readonly (SeenSlot | null)[]): string | null {
  const { fingerprint, generation } = slot;
  if (watch.authority.has(fingerprint)) return null;
  if (watch.excuses.has('rot')) return null;
  const held = now.filter((one) => one !== null);
  // "Settled" names the generation of the key that stays: the other is done with.
  if (held.some((one) => watch.settledHeard.has(one.generation))) return null;
  // A wish that is newer than the candidate says that the candidate is done with, and it is being written over.
  const bases = held.map((one) => one.fingerprint);
  const superseded = bases.some((base) => (watch.wishHeard.get(base) ?? -1) > generation);
  if (superseded) return null;
  return `${fingerprint} is in no slot any more, and nobody has said that it is revoked`;
}
