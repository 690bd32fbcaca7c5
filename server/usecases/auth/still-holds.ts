import type { KeyId, SessionId } from '../../domain/ids.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { callerOfSession, requireLive } from './sessions.ts';

/**
 * Why what a listener, or a request whose body took its time, came with no longer holds, read from the store now; null while it does. Rejects with the store's
 * faults: a credential that cannot be looked at is neither good nor bad.
 */
export async function whyOver(deps: Deps, caller: Caller): Promise<FuselinkError | null> {
  if (caller.via === 'operator') return null;
  try {
    const role =
      caller.session === undefined ? await roleOfKey(deps, caller.key.id) : await roleOfSession(deps, caller);
    if (role === caller.role) return null;
    return new FuselinkError('role_insufficient', `The role this was begun with is now ${role}: begin it anew.`);
  } catch (error) {
    if (error instanceof FuselinkError) return error;
    throw error;
  }
}

async function roleOfKey(deps: Deps, id: KeyId): Promise<string> {
  const key = await deps.store.get('api_keys', { id });
  if (key === null) throw new FuselinkError('key_unknown', 'The API key this was begun with is no longer known here.');
  if (key.state === 'revoked') {
    throw new FuselinkError(
      'key_revoked',
      `The API key with the fingerprint ${key.fingerprint} was revoked at ${new Date(key.revoked_at_ms ?? 0).toISOString()}.`,
      { fingerprint: key.fingerprint },
    );
  }
  return key.role;
}

async function roleOfSession(deps: Deps, caller: Caller): Promise<string> {
  const row = await deps.store.get('sessions', { id: caller.session?.id as SessionId });
  const session = requireLive(deps, row);
  const now = await callerOfSession(deps, session, { via: caller.via as 'session' | 'jwt', from: caller.from });
  return now.role;
}
