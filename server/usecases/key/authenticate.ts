import { type DevicePosition, HEADER_ROTATION, KEY_PDM_PREFIX, KEY_PREFIX_CHARS } from '#sdk/protocol';
import { fromUtf8 } from '../../domain/base64url.ts';
import { keyHex } from '../../domain/credential/api-key.ts';
import type { CredentialOutcome } from '../../domain/credential/credential-header.ts';
import type { DeviceId, Subject } from '../../domain/ids.ts';
import { judgeKey } from '../../domain/rotation/index.ts';
import type { KeyRow } from '../../ports/tables.ts';
import { callerOfSession, findSession } from '../auth/sessions.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { sealDeviceSecret } from '../device/device-secret.ts';
import { FuselinkError } from '../error.ts';
import { hearRevoked } from '../rotation/revoked.ts';
import { UPLOAD_WINDOW_BESIDE } from '../upload/admission.ts';
import { fingerprintOfKey, hashOfKey } from './mint-key.ts';

/** Uses of one revoked key that are written to the audit: a device that lost contact would knock for ever. */
const REVOKED_USES_AUDITED = 1;
const REVOKED_USES_WINDOW_MS = 3_600_000;

/**
 * Who a credential stands for, read from the store on every request: a key revoked or a session ended a moment ago,
 * on any node, is refused now. Throws the 401 that tells whoever holds the credential what is wrong with it.
 */
export async function authenticate(
  deps: Deps,
  said: CredentialOutcome,
  from: string,
  position: DevicePosition | null = null,
  options: AuthenticateOptions = { mayChange: true },
): Promise<Caller> {
  if (!said.ok) throw new FuselinkError(said.code, said.detail);
  const { credential, beside } = said;
  if (credential.kind !== 'key') {
    const session = await findSession(deps, credential);
    if (beside !== undefined && beside.kind !== 'key' && (await findSession(deps, beside)).id !== session.id) {
      throw new FuselinkError(
        'credentials_ambiguous',
        'A token and a session cookie of different sign-ins were sent: send exactly one.',
      );
    }
    return callerOfSession(deps, session, { via: credential.kind, from });
  }
  const found = await deps.store.getBeside<'api_keys', 'windows'>(
    'api_keys',
    { hash: hashOfKey(deps.crypto, credential.bytes) },
    UPLOAD_WINDOW_BESIDE,
  );
  if (found === null) {
    const fingerprint = fingerprintOfKey(deps.crypto, credential.bytes);
    throw new FuselinkError('key_unknown', `No API key with the fingerprint ${fingerprint} is known here.`, {
      fingerprint,
    });
  }
  const { row, beside: window } = found;
  const key = isFirstSight(row) ? await firstSight(deps, row, credential.bytes) : row;
  const caller = await callerOfKey(deps, key, from, position, options);
  caller.uploadHits = window?.hits ?? [];
  return caller;
}

/** Whether a device's key has not been here itself: then its prefix is unknown, or its device secret is not sealed. */
function isFirstSight(key: KeyRow): key is KeyRow & { device_id: DeviceId } {
  // A device secret may have been handed over before the key was first used.
  const seenBefore = key.sealed_device_secret !== null && key.prefix !== '';
  return key.device_id !== null && !seenBefore && key.state !== 'revoked';
}

/**
 * A key that a device made itself was registered by its digest alone: when it is first seen, its device secret is sealed,
 * and its fingerprint must be the one it was registered under.
 */
async function firstSight(deps: Deps, key: KeyRow & { device_id: DeviceId }, bytes: Uint8Array): Promise<KeyRow> {
  const fingerprint = fingerprintOfKey(deps.crypto, bytes);
  if (fingerprint !== key.fingerprint) {
    throw new FuselinkError('key_unknown', `No API key with the fingerprint ${fingerprint} is known here.`, {
      fingerprint,
    });
  }
  const seen: KeyRow = {
    ...key,
    prefix: key.prefix === '' ? shownForm(bytes).slice(0, KEY_PREFIX_CHARS) : key.prefix,
    sealed_device_secret: sealDeviceSecret(deps, key.device_id, bytes),
    version: key.version + 1,
  };
  const outcome = await deps.store.commit([
    { kind: 'update', table: 'api_keys', row: seen, expectVersion: key.version },
  ]);
  if (outcome.ok) return seen;
  return (await deps.store.get('api_keys', { id: key.id })) ?? key;
}

/** A key as people see it: the pdm_ form is its own 32 characters, every other one is hex. */
function shownForm(bytes: Uint8Array): string {
  const text = fromUtf8(bytes);
  return text.startsWith(KEY_PDM_PREFIX) ? text : keyHex(bytes);
}

export interface AuthenticateOptions {
  /** False where the request can manage nothing anyway (a read, an upload): saves asking the account whether it may. */
  mayChange: boolean;
}

/** Whether the account lets this key manage without a sign-in (`keys_may_manage`). */
export async function keyMayManage(deps: Deps, key: Pick<KeyRow, 'kind' | 'account_id' | 'role'>): Promise<boolean> {
  if (key.kind !== 'account' || key.role === 'auditor') return false;
  const account = await deps.store.get('accounts', { id: key.account_id });
  return account?.settings.keys_may_manage === true;
}

/** The caller a valid key stands for; throws `key_revoked` for one that no longer is. */
export async function callerOfKey(
  deps: Deps,
  key: KeyRow,
  from: string,
  position: DevicePosition | null = null,
  options: AuthenticateOptions = { mayChange: true },
): Promise<Caller> {
  const nowMs = deps.clock.nowMs();
  const verdict = judgeKey({ fingerprint: key.fingerprint, state: key.state, validFromMs: null }, nowMs);
  if (!verdict.ok) {
    await auditRevokedUse(deps, key, { from, nowMs });
    const told = await hearRevoked(deps, key, { from, position });
    const when = key.revoked_at_ms === null ? 'earlier' : new Date(key.revoked_at_ms).toISOString();
    throw new FuselinkError(
      'key_revoked',
      `The API key with the fingerprint ${key.fingerprint} was revoked at ${when}.`,
      { fingerprint: key.fingerprint, ...(told === '' ? {} : { headers: { [HEADER_ROTATION]: told } }) },
    );
  }
  deps.store.touch('api_keys', key.id, 'last_used_at_ms', nowMs);
  if (key.device_id !== null) deps.store.touch('devices', key.device_id, 'last_seen_at_ms', nowMs);
  return {
    accountId: key.account_id,
    role: key.role,
    key,
    deviceId: key.device_id,
    subject: (key.device_id ?? key.id) as string as Subject,
    via: 'key',
    mayManage: options.mayChange && (await keyMayManage(deps, key)),
    from,
    ...(key.kind === 'device' ? { device: { use: verdict.use, position, committed: false, alarms: [] } } : {}),
  };
}

/** Somebody still holds a key that was taken from them: worth an entry, once an hour. A fault here refuses nobody. */
async function auditRevokedUse(deps: Deps, key: KeyRow, at: { from: string; nowMs: number }): Promise<void> {
  try {
    await deps.store.commit([
      {
        kind: 'take',
        id: `revoked key used ${key.id}`,
        atMs: at.nowMs,
        windowMs: REVOKED_USES_WINDOW_MS,
        max: REVOKED_USES_AUDITED,
      },
      {
        kind: 'audit',
        entry: {
          chain: key.account_id,
          at_ms: at.nowMs,
          actor: `key:${key.id}`,
          action: 'key.used_after_revocation',
          subject: key.id,
          outcome: 'refused',
          detail: { fingerprint: key.fingerprint },
          from: at.from,
        },
      },
    ]);
  } catch (error) {
    deps.warn('the use of a revoked key could not be audited', error);
  }
}
