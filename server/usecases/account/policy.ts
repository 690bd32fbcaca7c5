import type { AccountRow } from '../../ports/tables.ts';

export interface AccountPolicy {
  /** Uploads that are not sealed end to end are refused, on every path and in every dialect. */
  requireSealed: boolean;
}

/** What the account accepts; changed by `changeAccount`. */
export function policyOf(row: Pick<AccountRow, 'settings'>): AccountPolicy {
  return { requireSealed: row.settings.require_sealed === true };
}
