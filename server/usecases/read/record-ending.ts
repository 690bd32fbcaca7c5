import { addRange } from '../../domain/reading/byte-ranges.ts';
import { endRead, renewLease } from '../../domain/transfer/read-ending.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { deleteBlob, dropBytes } from '../upload/dispose.ts';
import { linkAudit } from './audit.ts';

/** How a request for bytes ended, as far as the connection can tell (see EndRead). */
export type ReadEnding = 'proven' | 'unproven' | 'broken';

/** A read under way, and whose it is. */
export interface ReadContext {
  deps: Deps;
  id: TransferRow['id'];
  via: 'claim' | 'implicit';
  leaseHash: string;
  /** The row as the read began, and the bytes `[from, to)` it asked for. */
  begun: { row: TransferRow; from: number; to: number };
  /** Address of the reader, for the audit. */
  reader: string;
}

/** Bytes still flow: the lease lives on. False where it is another's by now, or the transfer has ended. */
export function renew({ deps, id, leaseHash }: ReadContext): Promise<boolean> {
  return decideAndCommit(deps.store, async () => {
    const row = await deps.store.get('transfers', { id });
    const next = row === null ? null : renewLease(row, { leaseHash, nowMs: deps.clock.nowMs() });
    if (row === null || next === null) return { answer: false, writes: [] };
    return { answer: true, writes: [{ kind: 'update', table: 'transfers', row: next, expectVersion: row.version }] };
  });
}

/**
 * Under a claim what is handed over may be acknowledged: says so for all that was asked for, while its last piece is still
 * here. Whoever acknowledges what it then did not get cheats nobody but itself.
 */
export async function recordHanded({ deps, id, leaseHash, begun }: ReadContext): Promise<void> {
  await decideAndCommit(deps.store, async () => {
    const row = await deps.store.get('transfers', { id });
    if (row === null || row.state !== 'claimed' || row.lease_hash !== leaseHash) return { answer: null, writes: [] };
    const delivered = addRange(row.delivered, begun.from, begun.to);
    const next: TransferRow = { ...row, delivered, version: row.version + 1 };
    return { answer: null, writes: [{ kind: 'update', table: 'transfers', row: next, expectVersion: row.version }] };
  });
}

/** Records how a request for bytes ended; where that proves delivery the file is burned and its bytes deleted. */
export async function recordEnding(
  context: ReadContext,
  ending: ReadEnding,
  bytesHanded: number,
): Promise<TransferRow> {
  const { deps, id, via, leaseHash, begun, reader } = context;
  const row = await decideAndCommit(deps.store, async () => {
    const current = (await deps.store.get('transfers', { id })) ?? begun.row;
    const nowMs = deps.clock.nowMs();
    if (current.delivered_by === 'first-byte') return endedStrictRead(current, bytesHanded);
    const to = begun.from + bytesHanded;
    const { graceMs } = deps.settings;
    const next = endRead(current, { via, leaseHash, from: begun.from, to, outcome: ending, graceMs, nowMs });
    if (next === null) return { answer: current, writes: [] };
    const gone = next.state === 'burned' ? dropBytes(next) : { row: next, writes: [] };
    const action = next.state === 'burned' ? 'transfer.delivered' : 'transfer.read';
    return {
      answer: gone.row,
      writes: [
        { kind: 'update', table: 'transfers', row: gone.row, expectVersion: current.version },
        ...gone.writes,
        linkAudit(current, nowMs, { action, from: reader, detail: { ending, from_byte: begun.from, to_byte: to } }),
      ],
    };
  });
  if (row.state === 'burned') await deleteBlob(deps, row);
  return row;
}

/** `burn: on-first-byte`: the burn was written before the first byte; now its bytes go, and the receipt says how many went out. */
function endedStrictRead(current: TransferRow, bytesHanded: number) {
  const gone = dropBytes(current);
  const row: TransferRow = {
    ...gone.row,
    bytes_served: current.bytes_served + bytesHanded,
    version: current.version + 1,
  };
  return {
    answer: row,
    writes: [
      { kind: 'update' as const, table: 'transfers' as const, row, expectVersion: current.version },
      ...gone.writes,
    ],
  };
}
