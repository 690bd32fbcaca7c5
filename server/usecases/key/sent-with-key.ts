import { PAGE_ROWS_MAX, type TransferAnswer } from '#sdk/protocol';
import type { KeyId } from '../../domain/ids.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { listTransfers } from '../transfer/look.ts';
import { revokeTransfer } from '../transfer/revoke-transfer.ts';

/** Rows looked at in one go while burning. */
const BATCH_ROWS = 200;

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

/** Burns every transfer of a key that nobody has read, those still on their way included. How many. */
export async function burnSentWith(deps: Deps, caller: Caller, keyId: KeyId): Promise<number> {
  let burned = 0;
  let after: string[] | null = null;
  for (;;) {
    const rows: { id: Parameters<typeof revokeTransfer>[2] }[] = await deps.store.list('transfers', {
      where: [
        ['key_id', '=', keyId],
        ['account_id', '=', caller.accountId],
        ['state', 'in', ['uploading', 'ready', 'claimed']],
      ],
      orderBy: [['id', 'asc']],
      ...(after === null ? {} : { after }),
      limit: BATCH_ROWS,
    });
    for (const { id } of rows) {
      try {
        await revokeTransfer(deps, caller, id);
        burned++;
      } catch (error) {
        // Read, expired or burned since it was listed: there is nothing left to do.
        if (!(error instanceof FuselinkError) || (error.code !== 'transfer_ended' && error.code !== 'not_found')) {
          throw error;
        }
      }
    }
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < BATCH_ROWS) return burned;
    after = [last.id];
  }
}
