import type { AccountRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireOwner, requireSecondFactor } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decideAndCommit } from '../store-helpers.ts';

export interface AccountPolicy {
  /** Uploads that are not sealed end to end are refused, on every path and in every dialect. */
  requireSealed: boolean;
}

export function policyOf(row: Pick<AccountRow, 'settings'>): AccountPolicy {
  return { requireSealed: row.settings.require_sealed === true };
}

/** Changes what is given of the account's policy, for the very next upload. Returns the policy as it then is. */
export async function changePolicy(
  deps: Deps,
  caller: Caller,
  what: { requireSealed?: boolean | undefined },
): Promise<AccountPolicy> {
  requireSecondFactor(caller);
  requireOwner(caller);
  return decideAndCommit(deps.store, async () => {
    const account = await deps.store.get('accounts', { id: caller.accountId });
    if (account === null) throw new FuselinkError('not_found', 'There is no such account.');
    const before = policyOf(account);
    const after = { requireSealed: what.requireSealed ?? before.requireSealed };
    if (after.requireSealed === before.requireSealed) return { answer: after, writes: [] };
    const settings = { ...account.settings, require_sealed: after.requireSealed };
    return {
      answer: after,
      writes: [
        {
          kind: 'update',
          table: 'accounts',
          row: { ...account, settings, version: account.version + 1 },
          expectVersion: account.version,
        },
        auditOf(caller, deps.clock.nowMs(), {
          action: 'account.changed',
          subject: account.id,
          detail: { require_sealed: after.requireSealed },
        }),
      ],
    };
  });
}
