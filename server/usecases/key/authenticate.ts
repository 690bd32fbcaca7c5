import type { CredentialOutcome } from '../../domain/credential/credential-header.ts';
import type { Subject } from '../../domain/ids.ts';
import type { KeyRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { fingerprintOfKey, hashOfKey } from './mint-key.ts';

/**
 * Who a credential stands for, read from the store on every request: a key revoked a moment ago, on any node, is
 * refused now. Throws the 401 that tells whoever holds the key what is wrong with it.
 */
export async function authenticate(deps: Deps, said: CredentialOutcome, from: string): Promise<Caller> {
  if (!said.ok) throw new FuselinkError(said.code, said.detail);
  if (said.credential.kind !== 'key') {
    throw new FuselinkError('token_invalid', 'This session or token is not known here: sign in again.');
  }
  const { bytes } = said.credential;
  const key = await deps.store.get('api_keys', { hash: hashOfKey(deps.crypto, bytes) });
  if (key === null) {
    const fingerprint = fingerprintOfKey(deps.crypto, bytes);
    throw new FuselinkError('key_unknown', `No API key with the fingerprint ${fingerprint} is known here.`, {
      fingerprint,
    });
  }
  return callerOfKey(deps, key, from);
}

/** The caller a valid key stands for; throws `key_revoked` for one that no longer is. */
export async function callerOfKey(deps: Deps, key: KeyRow, from: string): Promise<Caller> {
  if (key.state === 'revoked') {
    const when = key.revoked_at_ms === null ? 'earlier' : new Date(key.revoked_at_ms).toISOString();
    throw new FuselinkError(
      'key_revoked',
      `The API key with the fingerprint ${key.fingerprint} was revoked at ${when}.`,
      {
        fingerprint: key.fingerprint,
      },
    );
  }
  const nowMs = deps.clock.nowMs();
  deps.store.touch('api_keys', key.id, 'last_used_at_ms', nowMs);
  if (key.device_id !== null) deps.store.touch('devices', key.device_id, 'last_seen_at_ms', nowMs);
  const account = key.kind === 'account' ? await deps.store.get('accounts', { id: key.account_id }) : null;
  return {
    accountId: key.account_id,
    role: key.role,
    key,
    deviceId: key.device_id,
    subject: (key.device_id ?? key.id) as string as Subject,
    via: 'key',
    mayManage: account?.settings.keys_may_manage === true && key.role !== 'auditor',
    from,
  };
}
