import type { AccountId } from '../../domain/ids.ts';
import { policyOf } from '../account/policy.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

/** What an account may still have stored; `Infinity` without a quota. */
export interface Room {
  bytes: number;
  quotaBytes: number;
  /** The account accepts only files that are sealed end to end. */
  requireSealed: boolean;
}

/**
 * The account's quota less its unread files, less what its unfinished uploads have announced (or have got, where they
 * announced nothing): two uploads that fit alone but not together are told before their bodies are read.
 */
export async function roomOf(deps: Deps, accountId: AccountId): Promise<Room> {
  const account = await deps.store.get('accounts', { id: accountId });
  const requireSealed = account !== null && policyOf(account).requireSealed;
  const quotaBytes = account?.settings.quota_bytes;
  if (quotaBytes === undefined) {
    return { bytes: Number.POSITIVE_INFINITY, quotaBytes: Number.POSITIVE_INFINITY, requireSealed };
  }
  const own = ['account_id', '=', accountId] as const;
  const [announced, unannounced] = await Promise.all([
    deps.store.count('transfers', { where: [own, ['state', 'in', ['ready', 'claimed', 'uploading']]], sum: 'size' }),
    deps.store.count('transfers', { where: [own, ['state', '=', 'uploading'], ['size', 'is-null']], sum: 'offset' }),
  ]);
  return { bytes: quotaBytes - announced.sum - unannounced.sum, quotaBytes, requireSealed };
}

/** Throws `quota_exceeded` where `bytes` do not fit. */
export function refuseOverQuota(room: Room, bytes: number): void {
  if (bytes <= room.bytes) return;
  throw new FuselinkError(
    'quota_exceeded',
    `Expected at most ${room.quotaBytes} bytes of unread files in the account, of which ${Math.max(0, room.bytes)} are free; got ${bytes} more.`,
  );
}
