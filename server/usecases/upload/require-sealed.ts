import type { AccountId } from '../../domain/ids.ts';
import type { SealedStart } from '../../domain/upload/sealed-start.ts';
import { policyOf } from '../account/policy.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

/** Whether the account accepts only sealed files now. */
export async function requiresSealed(deps: Deps, accountId: AccountId): Promise<boolean> {
  const account = await deps.store.get('accounts', { id: accountId });
  return account !== null && policyOf(account).requireSealed;
}

/** Throws `unsealed_refused` as soon as the file's first bytes rule it out; at its `end` also where it is too short. */
export function refuseUnsealed(start: SealedStart, end = false): void {
  if (!start.isNot && !(end && !start.sealed)) return;
  throw new FuselinkError(
    'unsealed_refused',
    'Expected a file that is sealed end to end (`fuselink send --to` or `--seal`), got one that does not begin as one; this account accepts no other.',
  );
}
