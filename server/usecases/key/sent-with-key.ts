import { PAGE_ROWS_MAX, type TransferAnswer } from '#sdk/protocol';
import type { KeyId } from '../../domain/ids.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { listTransfers } from '../transfer/look.ts';

/** What was sent with a key: the newest transfers, and how many there are in all. */
export async function sentWith(
  deps: Deps,
  caller: Caller,
  keyId: KeyId,
): Promise<{ sent: TransferAnswer[]; sent_total: number }> {
  const page = await listTransfers(deps, caller, { keyId, limit: PAGE_ROWS_MAX });
  const { rows } = await deps.store.count('transfers', { where: [['key_id', '=', keyId]] });
  return { sent: page.transfers, sent_total: rows };
}
