import { auditOf, type Caller, requireOwner, requireSecondFactor } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decideAndCommit } from '../store-helpers.ts';

export interface RotationPolicy {
  /** A suspicion that a device's key was copied quarantines the device by itself. */
  alarmsQuarantine: boolean;
  /** No rotation mints a key until they go on. */
  paused: boolean;
}

/** Changes what is given of the account's rules for rotations; returns them as they then are. */
export async function changeRotationPolicy(
  deps: Deps,
  caller: Caller,
  what: Partial<RotationPolicy>,
): Promise<RotationPolicy> {
  requireSecondFactor(caller);
  requireOwner(caller);
  return decideAndCommit(deps.store, async () => {
    const account = await deps.store.get('accounts', { id: caller.accountId });
    if (account === null) throw new FuselinkError('not_found', 'There is no such account.');
    const before: RotationPolicy = {
      alarmsQuarantine: account.settings.alarms_quarantine === true,
      paused: account.settings.rotations_paused === true,
    };
    const after = { ...before, ...what };
    const changed = { alarms_quarantine: after.alarmsQuarantine, rotations_paused: after.paused };
    if (JSON.stringify(after) === JSON.stringify(before)) return { answer: after, writes: [] };
    return {
      answer: after,
      writes: [
        {
          kind: 'update',
          table: 'accounts',
          row: { ...account, settings: { ...account.settings, ...changed }, version: account.version + 1 },
          expectVersion: account.version,
        },
        auditOf(caller, deps.clock.nowMs(), { action: 'account.changed', subject: account.id, detail: changed }),
      ],
    };
  });
}
