import type { DeviceId, KeyId } from '../../domain/ids.ts';
import type { Condition } from '../../ports/metadata-store.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { revokeTransfer } from '../transfer/revoke-transfer.ts';

/** Rows looked at in one go while burning. */
const BATCH_ROWS = 200;

/** Burns every transfer of a key or a device that nobody has read, those still on their way included. How many. */
export async function burnUnread(
  deps: Deps,
  caller: Caller,
  of: { keyId: KeyId } | { deviceId: DeviceId },
): Promise<number> {
  const whose: Condition<TransferRow> = 'keyId' in of ? ['key_id', '=', of.keyId] : ['device_id', '=', of.deviceId];
  let burned = 0;
  let after: string[] | null = null;
  for (;;) {
    const rows: TransferRow[] = await deps.store.list('transfers', {
      where: [whose, ['account_id', '=', caller.accountId], ['state', 'in', ['uploading', 'ready', 'claimed']]],
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
