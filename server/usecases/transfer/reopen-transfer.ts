import type { TransferId } from '../../domain/ids.ts';
import { reopen } from '../../domain/transfer/ending.ts';
import { standing } from '../../domain/transfer/reading.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { ownTransfer } from './look.ts';

/** The owner lets a held transfer be read again, its attempts counted afresh. Throws `conflict` where it is not held. */
export async function reopenTransfer(deps: Deps, caller: Caller, id: TransferId): Promise<TransferRow> {
  requireWriter(caller);
  return decideAndCommit(deps.store, async () => {
    const current = await ownTransfer(deps, caller, id);
    const nowMs = deps.clock.nowMs();
    const next = reopen(standing(current, nowMs));
    if (next === null)
      throw new FuselinkError('conflict', `Expected a transfer that is held, got one that is ${current.state}.`);
    return {
      answer: next,
      writes: [
        { kind: 'update', table: 'transfers', row: next, expectVersion: current.version },
        auditOf(caller, nowMs, { action: 'transfer.reopened', subject: id }),
      ],
    };
  });
}
