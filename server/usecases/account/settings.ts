import type { AccountAnswer } from '#sdk/protocol';
import type { AccountRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireOwner, requireSecondFactor } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decideAndCommit } from '../store-helpers.ts';

export function accountAnswer(row: AccountRow): AccountAnswer {
  return {
    id: row.id,
    email: row.email,
    created_at: new Date(row.created_at_ms).toISOString(),
    keys_may_manage: row.settings.keys_may_manage === true,
    require_sealed: row.settings.require_sealed === true,
    alarms_quarantine: row.settings.alarms_quarantine === true,
    rotations_paused: row.settings.rotations_paused === true,
  };
}

/** The caller's own account. */
export async function ownAccount(deps: Deps, caller: Caller): Promise<AccountAnswer> {
  requireAccountKey(caller);
  return accountAnswer(await loadAccount(deps, caller));
}

async function loadAccount(deps: Deps, caller: Caller): Promise<AccountRow> {
  const account = await deps.store.get('accounts', { id: caller.accountId });
  if (account === null) throw new FuselinkError('not_found', 'There is no such account.');
  return account;
}

export interface AccountChanges {
  /** The account's keys may manage keys and devices without a sign-in: the looser rule other systems have. */
  keysMayManage?: boolean | undefined;
  /** Uploads that are not sealed end to end are refused, on every path and in every dialect. */
  requireSealed?: boolean | undefined;
  /** A suspicion that a device's key was copied quarantines the device by itself. */
  alarmsQuarantine?: boolean | undefined;
  /** No rotation mints a key until they go on. */
  rotationsPaused?: boolean | undefined;
}

/** Changes what is given, for the very next request. */
export async function changeAccount(deps: Deps, caller: Caller, what: AccountChanges): Promise<AccountAnswer> {
  requireSecondFactor(caller);
  requireOwner(caller);
  return decideAndCommit(deps.store, async () => {
    const account = await loadAccount(deps, caller);
    const changed = {
      ...(what.keysMayManage === undefined ? {} : { keys_may_manage: what.keysMayManage }),
      ...(what.requireSealed === undefined ? {} : { require_sealed: what.requireSealed }),
      ...(what.alarmsQuarantine === undefined ? {} : { alarms_quarantine: what.alarmsQuarantine }),
      ...(what.rotationsPaused === undefined ? {} : { rotations_paused: what.rotationsPaused }),
    };
    if (Object.keys(changed).length === 0) return { answer: accountAnswer(account), writes: [] };
    const next: AccountRow = {
      ...account,
      settings: { ...account.settings, ...changed },
      version: account.version + 1,
    };
    return {
      answer: accountAnswer(next),
      writes: [
        { kind: 'update', table: 'accounts', row: next, expectVersion: account.version },
        auditOf(caller, deps.clock.nowMs(), {
          action: 'account.changed',
          subject: account.id,
          detail: changed,
        }),
      ],
    };
  });
}
