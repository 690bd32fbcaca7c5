import type { TransferAnswer, TransferState } from '#sdk/protocol';
import type { TransferId } from '../../domain/ids.ts';
import { standing } from '../../domain/transfer/reading.ts';
import type { Condition } from '../../ports/metadata-store.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newestFirst } from '../paging.ts';
import { recipientIndex } from '../sealing/transfer-meta.ts';
import { transferAnswer } from '../upload/answers.ts';

/** The transfer, if it is of the caller's account; a stranger's is `not_found`, like one that does not exist. */
export async function ownTransfer(deps: Deps, caller: Caller, id: TransferId): Promise<TransferRow> {
  const row = await deps.store.get('transfers', { id });
  if (row === null || row.account_id !== caller.accountId || !mayAccountSee(caller, row)) {
    throw new FuselinkError('not_found', 'There is no such transfer.');
  }
  return row;
}

/** The receipt of a transfer as it stands now: a lease that has run out is no reader any more. */
export function receiptOf(deps: Deps, row: TransferRow): TransferAnswer {
  return transferAnswer(deps, standing(row, deps.clock.nowMs()));
}

/** A device key sees what its own device sent; account keys and people see the account's. */
function mayAccountSee(caller: Caller, row: TransferRow): boolean {
  return caller.key.kind === 'account' || row.subject === caller.subject;
}

export interface ListTransfers {
  state?: TransferState | undefined;
  deviceId?: string | undefined;
  keyId?: string | undefined;
  recipient?: string | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

/** A page of transfers, newest first. */
export async function listTransfers(
  deps: Deps,
  caller: Caller,
  query: ListTransfers,
): Promise<{ transfers: TransferAnswer[]; next_cursor: string | null }> {
  const where: Condition<TransferRow>[] = [['account_id', '=', caller.accountId]];
  if (caller.key.kind !== 'account') where.push(['subject', '=', caller.subject]);
  if (query.state !== undefined) where.push(['state', '=', query.state]);
  if (query.deviceId !== undefined)
    where.push(['device_id', '=', query.deviceId as NonNullable<TransferRow['device_id']>]);
  if (query.keyId !== undefined) where.push(['key_id', '=', query.keyId as TransferRow['key_id']]);
  if (query.recipient !== undefined) {
    const recipient = query.recipient;
    const indexes = deps.keyring.versions.map((version) =>
      recipientIndex(deps.keyring, caller.accountId, recipient, version),
    );
    where.push(['recipient_index', 'in', indexes]);
  }
  const page = await newestFirst(deps.store, 'transfers', where, query);
  return { transfers: page.rows.map((row) => receiptOf(deps, row)), next_cursor: page.next_cursor };
}
