import type { IncidentWitness } from '#sdk/protocol';
import type { AccountId, KeyId } from '../../domain/ids.ts';
import type { AuditRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { pagesOf } from '../rows.ts';
import type { KeyThatIsOut } from './find-key.ts';

/** Sign-ins and witnesses listed; the totals count all. */
export const LISTED_MAX = 200;
/** Entries that say that somebody was shown a key; the subject is a device, a gateway or the key itself. */
const SHOWS_KEY: readonly string[] = [
  'device.enrolled',
  'rotation.minted',
  'rotation.reprovisioned',
  'gateway.added',
  'key.created',
];
/** Addresses that are no place: the server's own command line, its sweep, and nobody. */
const NOWHERE: readonly string[] = ['', 'local', 'cli'];

export interface Evidence {
  seenBy: IncidentWitness[];
  addresses: string[];
  /** Devices and gateways and account keys (by id) that the same people were shown a key of. */
  ofPeople: Set<string>;
  /** Keys (by id) that were used at the same addresses. */
  usedThere: Set<KeyId>;
  signIns: { at: string; who: string; from: string }[];
  signInsTotal: number;
}

/**
 * What the account's audit knows of who could have seen the key and where it has been. Two passes over the whole chain:
 * first people and places, then what else is theirs. The operator at the server is nobody here: whoever is that has
 * everything anyway.
 */
export async function gatherEvidence(deps: Deps, accountId: AccountId, out: KeyThatIsOut): Promise<Evidence> {
  const subjects = new Set<string>([out.key.id, out.gateway?.id ?? '', out.key.device_id ?? '']);
  subjects.delete('');
  const ownActor = `key:${out.key.id}`;
  const witnesses = new Map<string, IncidentWitness>();
  const addresses = new Set<string>();
  await eachEntry(deps, accountId, (entry) => {
    const shown = personShown(entry);
    const about = shown !== null && subjects.has(entry.subject);
    if (about) {
      const thisKey = entry.detail['fingerprint'] === out.key.fingerprint;
      const known = witnesses.get(shown);
      const at = known?.at ?? new Date(entry.at_ms).toISOString();
      witnesses.set(shown, { who: shown, this_key: thisKey || known?.this_key === true, at });
    }
    if ((about || entry.actor === ownActor) && !NOWHERE.includes(entry.from)) addresses.add(entry.from);
  });
  // Whoever signed in with an account key had it in their hands.
  if (out.key.kind === 'account') await addSigners(deps, accountId, out, witnesses);

  const ofPeople = new Set<string>();
  const usedThere = new Set<KeyId>();
  const signIns: Evidence['signIns'] = [];
  await eachEntry(deps, accountId, (entry) => {
    const shown = personShown(entry);
    if (shown !== null && witnesses.has(shown)) ofPeople.add(entry.subject);
    if (!addresses.has(entry.from)) return;
    const [kind, id] = entry.actor.split(/:(.*)/s);
    if (kind === 'key' && id !== undefined) usedThere.add(id as KeyId);
    if (entry.action === 'sign_in.accepted') {
      signIns.push({ at: new Date(entry.at_ms).toISOString(), who: id ?? entry.actor, from: entry.from });
    }
  });
  for (const subject of subjects) ofPeople.delete(subject);
  usedThere.delete(out.key.id);
  return {
    seenBy: [...witnesses.values()].slice(0, LISTED_MAX),
    addresses: [...addresses],
    ofPeople,
    usedThere,
    signIns: signIns.reverse().slice(0, LISTED_MAX),
    signInsTotal: signIns.length,
  };
}

/** The person (or the account key standing for one) that the entry says was shown a key; null for every other entry. */
function personShown({ action, actor, detail }: AuditRow): string | null {
  if (!SHOWS_KEY.includes(action)) return null;
  // A device that mints its own key, or is handed it wrapped, shows it to nobody.
  if (action === 'rotation.minted' && detail['cause'] !== 'issue') return null;
  const [kind, who] = actor.split(/:(.*)/s);
  return kind === 'operator' || who === undefined ? null : who;
}

async function addSigners(
  deps: Deps,
  accountId: AccountId,
  { key }: KeyThatIsOut,
  witnesses: Map<string, IncidentWitness>,
): Promise<void> {
  await eachEntry(deps, accountId, (entry) => {
    if (entry.action !== 'sign_in.accepted' || entry.detail['key'] !== key.fingerprint) return;
    const who = entry.actor.split(/:(.*)/s)[1] ?? entry.actor;
    if (!witnesses.has(who)) witnesses.set(who, { who, this_key: true, at: new Date(entry.at_ms).toISOString() });
  });
  // The key itself may have been what showed other keys, where the account lets keys manage.
  witnesses.set(key.id, { who: key.id, this_key: true, at: new Date(key.created_at_ms).toISOString() });
}

async function eachEntry(deps: Deps, accountId: AccountId, see: (entry: AuditRow) => void): Promise<void> {
  const pages = pagesOf(deps, 'audit', {
    where: [['chain', '=', accountId]],
    orderBy: [['seq', 'asc']],
  });
  for await (const rows of pages) {
    for (const entry of rows) see(entry);
  }
}
