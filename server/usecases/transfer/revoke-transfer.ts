import type { TransferId } from '../../domain/ids.ts';
import { revoke } from '../../domain/transfer/ending.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { deleteBlob, dropBytes } from '../upload/dispose.ts';
import { ownTransfer } from './look.ts';

/** The owner burns a transfer now, whatever is going on with it. The receipt. Throws `transfer_ended` when it is too late. */
export async function revokeTransfer(deps: Deps, caller: Caller, id: TransferId): Promise<TransferRow> {
  requireWriter(caller);
  const row = await decideAndCommit(deps.store, async () => {
    const current = await ownTransfer(deps, caller, id);
    const nowMs = deps.clock.nowMs();
    const next = revoke(current, nowMs);
    if (next === null)
      throw new FuselinkError(
        'transfer_ended',
        `Expected a transfer that is still alive, got one that was ${current.state}.`,
      );
    const gone = dropBytes(next);
    return {
      answer: gone.row,
      writes: [
        { kind: 'update', table: 'transfers', row: gone.row, expectVersion: current.version },
        ...gone.writes,
        auditOf(caller, nowMs, { action: 'transfer.revoked', subject: id, detail: { was: current.state } }),
      ],
    };
  });
  await deleteBlob(deps, row);
  return row;
}
