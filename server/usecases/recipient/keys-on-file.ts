import { KEY_HISTORY_MAX, type KeyOnFile, type SealKeyPurpose } from '#sdk/protocol';
import { fingerprintWords, type PublicKeyOnFile, parsePublicKey } from '../../domain/recipient/public-key.ts';
import type { EarlierKeyRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

/** What rows of recipients' and devices' keys have in common. */
export interface KeyColumns {
  public_key: string;
  fingerprint: string;
  earlier_keys: EarlierKeyRow[];
  alarm_since_ms: number | null;
  created_at_ms: number;
  removed_at_ms: number | null;
}

/** The key of a text somebody gave; throws `invalid_field` that never repeats it. */
export function checkedPublicKey(deps: Deps, purpose: SealKeyPurpose, text: string): PublicKeyOnFile {
  const parsed = parsePublicKey(purpose, text, deps.crypto.sha256);
  if (parsed.ok) return parsed.key;
  throw new FuselinkError('invalid_field', `public_key: ${parsed.detail}.`, {
    errors: [{ field: 'public_key', detail: parsed.detail }],
  });
}

/** The columns of a key seen for the first time. */
export function firstKey(key: PublicKeyOnFile, nowMs: number): KeyColumns {
  return {
    public_key: key.text,
    fingerprint: key.fingerprint,
    earlier_keys: [],
    alarm_since_ms: null,
    created_at_ms: nowMs,
    removed_at_ms: null,
  };
}

/** The columns after `key` took the place of what was there: another key is an alarm, and the old fingerprint stays. */
export function replacedKey(row: KeyColumns, key: PublicKeyOnFile, nowMs: number): KeyColumns {
  if (row.fingerprint === key.fingerprint) return { ...keyColumns(row), removed_at_ms: null };
  const earlier = [{ fingerprint: row.fingerprint, until_ms: row.removed_at_ms ?? nowMs }, ...row.earlier_keys];
  return {
    ...firstKey(key, nowMs),
    earlier_keys: earlier.slice(0, KEY_HISTORY_MAX),
    alarm_since_ms: nowMs,
  };
}

function keyColumns(row: KeyColumns): KeyColumns {
  const { public_key, fingerprint, earlier_keys, alarm_since_ms, created_at_ms, removed_at_ms } = row;
  return { public_key, fingerprint, earlier_keys, alarm_since_ms, created_at_ms, removed_at_ms };
}

export function keyOnFile(deps: Deps, row: KeyColumns): KeyOnFile {
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    algorithm: algorithmOf(deps, row.public_key),
    public_key: row.public_key,
    fingerprint: row.fingerprint,
    fingerprint_words: fingerprintWords(row.fingerprint),
    created_at: iso(row.created_at_ms),
    alarm: row.alarm_since_ms === null ? null : { since: iso(row.alarm_since_ms) },
    earlier_keys: row.earlier_keys.map(({ fingerprint, until_ms }) => ({ fingerprint, until: iso(until_ms) })),
  };
}

/** The algorithm's name. A text that was accepted once is read again; damage in the store is told, not passed on. */
function algorithmOf(deps: Deps, text: string): string {
  for (const purpose of ['recipient', 'signer'] as const) {
    const parsed = parsePublicKey(purpose, text, deps.crypto.sha256);
    if (parsed.ok) return parsed.key.algorithm.name;
  }
  throw new Error('a public key on file does not read any more: its row was altered');
}

/** Both fingerprints in words, for messages about a key that is not the one expected. */
export function changedDetail(who: string, known: string, given: string): string {
  return `${who} is known with the key ${fingerprintWords(known)}, and this one is ${fingerprintWords(given)}.`;
}
