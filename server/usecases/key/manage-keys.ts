import {
  ACCOUNT_KEYS_ACTIVE_MAX,
  KEY_NAME_CHARS_MAX,
  type KeyAnswer,
  type KeyCreatedAnswer,
  type KeyRevokedAnswer,
  type Role,
} from '#sdk/protocol';
import { isAtMost } from '../../domain/auth/roles.ts';
import type { KeyId } from '../../domain/ids.ts';
import { isWellFormed } from '../../domain/upload/filename.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { KeyRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newestFirst } from '../paging.ts';
import { decideRotation } from '../rotation/decide.ts';
import { authorOf } from '../rotation/hear.ts';
import { loadRotation } from '../rotation/record.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { burnUnread } from './burn-unread.ts';
import { type MintKey, mintKey } from './mint-key.ts';
import { sentWith } from './sent-with-key.ts';

export function keyAnswer(row: KeyRow): KeyAnswer {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    prefix: row.prefix,
    fingerprint: row.fingerprint,
    role: row.role,
    state: row.state,
    device_id: row.device_id,
    created_at: new Date(row.created_at_ms).toISOString(),
    last_used_at: iso(row.last_used_at_ms),
    revoked_at: iso(row.revoked_at_ms),
  };
}

/** A page of the account's keys, newest first; never the keys themselves. */
export async function listKeys(
  deps: Deps,
  caller: Caller,
  query: { cursor?: string | undefined; limit?: number | undefined; kind?: KeyRow['kind'] | undefined },
): Promise<{ keys: KeyAnswer[]; next_cursor: string | null }> {
  requireAccountKey(caller);
  const page = await newestFirst(
    deps.store,
    'api_keys',
    [
      ['account_id', '=', caller.accountId],
      ...(query.kind === undefined ? [] : ([['kind', '=', query.kind]] as const)),
    ],
    query,
  );
  return { keys: page.rows.map(keyAnswer), next_cursor: page.next_cursor };
}

/** A new account key, shown once. Throws `key_limit_reached` at the eleventh active one. */
export async function createKey(
  deps: Deps,
  caller: Caller,
  what: { name: string; role?: Role | undefined; key?: NonNullable<MintKey['key']> },
): Promise<KeyCreatedAnswer> {
  if (caller.mayCreateKeys !== true) requireManagement(caller);
  requireWriter(caller);
  const role = what.role ?? caller.role;
  if (!isAtMost(role, caller.role)) {
    throw new FuselinkError(
      'role_insufficient',
      `Expected a role of at most ${caller.role}, as the creator has, got ${role}.`,
    );
  }
  const name = checkKeyName(what.name);
  return decideAndCommit(deps.store, async () => {
    const account = await deps.store.get('accounts', { id: caller.accountId });
    if (account === null) throw new FuselinkError('not_found', 'There is no such account.');
    const active = await deps.store.count('api_keys', {
      where: [
        ['account_id', '=', caller.accountId],
        ['kind', '=', 'account'],
        ['state', '=', 'active'],
      ],
    });
    if (active.rows >= ACCOUNT_KEYS_ACTIVE_MAX) {
      throw new FuselinkError(
        'key_limit_reached',
        `Expected at most ${ACCOUNT_KEYS_ACTIVE_MAX} active keys, got one more. Revoke one to free its place.`,
      );
    }
    const { row, key } = mintKey(deps, {
      ...what,
      accountId: caller.accountId,
      kind: 'account',
      deviceId: null,
      name,
      role,
    });
    return {
      answer: { ...keyAnswer(row), key },
      writes: [
        { kind: 'insert', table: 'api_keys', row },
        // The account's version serialises creations: two at once cannot both be the tenth.
        {
          kind: 'update',
          table: 'accounts',
          row: { ...account, version: account.version + 1 },
          expectVersion: account.version,
        },
        auditOf(caller, deps.clock.nowMs(), {
          action: 'key.created',
          subject: row.id,
          detail: { name, role, fingerprint: row.fingerprint },
        }),
      ],
    };
  });
}

/**
 * Revokes a key of the account for the very next request, and tells what was sent with it; with `burn` also burns what
 * of that nobody has read. Throws `not_found`, `key_already_revoked` (having burned all the same, where that was asked
 * for: a first attempt may have been cut between the two), or `key_last_needs_confirmation`.
 */
export async function revokeKey(
  deps: Deps,
  caller: Caller,
  what: { id: KeyId; confirmLast?: boolean; burn?: boolean },
): Promise<KeyRevokedAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const outcome = await decideAndCommit(deps.store, async () => {
    const row = await deps.store.get('api_keys', { id: what.id });
    if (row === null || row.account_id !== caller.accountId)
      throw new FuselinkError('not_found', 'There is no such key.');
    const nowMs = deps.clock.nowMs();
    if (row.state === 'revoked') return { answer: { row, already: true }, writes: [] };
    if (row.kind === 'device') return revokeOfDevice(deps, caller, row);
    if (row.id === caller.key.id && caller.via !== 'operator' && what.confirmLast !== true)
      await refuseLockOut(deps, caller);
    const next: KeyRow = { ...row, state: 'revoked', revoked_at_ms: nowMs, version: row.version + 1 };
    return {
      answer: { row: next, already: false },
      writes: [
        { kind: 'update', table: 'api_keys', row: next, expectVersion: row.version },
        auditOf(caller, nowMs, { action: 'key.revoked', subject: row.id, detail: { fingerprint: row.fingerprint } }),
      ],
    };
  });
  const { row, already } = outcome;
  const burned = what.burn === true ? await burnUnread(deps, caller, { keyId: row.id }) : 0;
  if (already) {
    const when = row.revoked_at_ms === null ? 'earlier' : new Date(row.revoked_at_ms).toISOString();
    const also = burned === 0 ? '' : ` ${burned} unread transfers were burned now.`;
    throw new FuselinkError('key_already_revoked', `This key was already revoked at ${when}.${also}`);
  }
  return { ...keyAnswer(row), ...(await sentWith(deps, caller, row.id)), burned };
}

/**
 * A device's key goes by way of its rotation, which must never name a key that is not accepted: the pending one ends its
 * rotation, the active one is the device's last, and the device is lost until somebody provisions it.
 */
async function revokeOfDevice(
  deps: Deps,
  caller: Caller,
  row: KeyRow,
): Promise<{ answer: { row: KeyRow; already: boolean }; writes: Write[] }> {
  if (row.device_id === null) throw new Error(`device key ${row.id} has no device`);
  const loaded = await loadRotation(deps, { id: row.device_id, accountId: row.account_id });
  const { pending, retiring } = loaded.record.rotation;
  if (row.fingerprint === retiring) {
    throw new FuselinkError(
      'rotation_state_conflict',
      'This is the old key of a rotation that is proven: it is revoked as soon as the device is heard again. Quarantine the device to stop it now.',
    );
  }
  const { outcome, writes } = await decideRotation(
    deps,
    loaded,
    row.fingerprint === pending ? { kind: 'abort' } : { kind: 'lose', reason: 'its key was revoked' },
    { author: authorOf(caller) },
  );
  if (outcome.kind !== 'moved') throw new Error(`the rotation of ${row.device_id} does not know the key ${row.id}`);
  const nowMs = deps.clock.nowMs();
  const revoked: KeyRow = { ...row, state: 'revoked', revoked_at_ms: nowMs, version: row.version + 1 };
  const entry = auditOf(caller, nowMs, {
    action: 'key.revoked',
    subject: row.id,
    detail: { fingerprint: row.fingerprint },
  });
  return { answer: { row: revoked, already: false }, writes: [...writes, entry] };
}

async function refuseLockOut(deps: Deps, caller: Caller): Promise<void> {
  const others = await deps.store.count('api_keys', {
    where: [
      ['account_id', '=', caller.accountId],
      ['kind', '=', 'account'],
      ['state', '=', 'active'],
    ],
  });
  if (others.rows > 1) return;
  throw new FuselinkError(
    'key_last_needs_confirmation',
    'Revoking this key leaves no key to sign in with. Confirm with ?confirm=last-key.',
  );
}

function checkKeyName(name: string): string {
  const trimmed = name.trim();
  if (
    trimmed !== '' &&
    trimmed.length <= KEY_NAME_CHARS_MAX &&
    isWellFormed(trimmed) &&
    !/[\u0000-\u001f\u007f]/.test(trimmed)
  ) {
    return trimmed;
  }
  const detail = `expected a name of 1 to ${KEY_NAME_CHARS_MAX} characters, got ${trimmed === '' ? 'an empty one' : `${trimmed.length} or control characters`}`;
  throw new FuselinkError('invalid_field', `name: ${detail}.`, { errors: [{ field: 'name', detail }] });
}
