import type { AccountId, Subject } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { KeyRow } from '../../ports/tables.ts';
import { auditOf, type Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { mintKey } from '../key/mint-key.ts';
import { newId } from '../new-id.ts';
import { checkEmail, newUser } from './new-user.ts';

export interface CreatedAccount {
  accountId: AccountId;
  email: string;
  /** The account's first key, shown once, like all that follows. */
  apiKey: string;
  totpUri: string;
  recoveryCodes: string[];
  setupSecret: string;
  row: KeyRow;
}

/**
 * A new account with its first key and its owner, who signs in with that key and an authenticator. Only the operator
 * at the server makes accounts. Throws where the e-mail is taken.
 */
export async function createAccount(
  deps: Deps,
  what: { email: string },
  /** What has to hold, and is done, in the same commit. */
  also: readonly Write[] = [],
): Promise<CreatedAccount> {
  const email = checkEmail(what.email);
  const accountId = newId(deps, 'acc') as AccountId;
  const { row, key } = mintKey(deps, { accountId, kind: 'account', deviceId: null, name: 'first key', role: 'owner' });
  const user = newUser(deps, { accountId, email, role: 'owner' });
  const nowMs = deps.clock.nowMs();
  const outcome = await deps.store.commit([
    ...also,
    {
      kind: 'insert',
      table: 'accounts',
      row: { id: accountId, email, created_at_ms: nowMs, settings: {}, version: 1 },
    },
    { kind: 'insert', table: 'api_keys', row },
    ...user.writes,
    auditOf(operatorOf(accountId, row), nowMs, { action: 'account.created', subject: accountId }),
  ]);
  if (!outcome.ok && outcome.index < also.length) {
    throw new FuselinkError('conflict', 'Somebody else was faster: what this account was to be made with is used.');
  }
  if (!outcome.ok) throw new FuselinkError('conflict', 'email: somebody signs in with this address already.');
  return {
    accountId,
    email,
    apiKey: key,
    totpUri: user.totpUri,
    recoveryCodes: user.recoveryCodes,
    setupSecret: user.setupSecret,
    row,
  };
}

/** The operator at the server's own command line, acting for an account. */
export function operatorOf(accountId: AccountId, key: Caller['key']): Caller {
  return {
    accountId,
    role: 'owner',
    key,
    deviceId: null,
    subject: key.id as string as Subject,
    via: 'operator',
    mayManage: true,
    from: 'local',
  };
}
