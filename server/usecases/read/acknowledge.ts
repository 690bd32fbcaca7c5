import { acknowledge } from '../../domain/transfer/read-ending.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { deleteBlob, dropBytes } from '../upload/dispose.ts';
import { linkAudit } from './audit.ts';
import { claimHash } from './claim-link.ts';
import { findLink } from './find-link.ts';
import { readRefusal } from './refusal.ts';

export interface Acknowledgement {
  /** The claim, or undefined after a plain GET. */
  claim: string | undefined;
  /** SHA-256 of what was received, 64 hex characters. */
  sha256: string;
  from: string;
}

/**
 * The reader proves delivery with the digest of what it has: the file is burned. A repeat (its answer was lost), and
 * an ack of a file that was burned on other evidence meanwhile, is answered like the first.
 */
export async function acknowledgeRead(deps: Deps, tokenText: string, ack: Acknowledgement): Promise<TransferRow> {
  const burned = await decideAndCommit(deps.store, async () => {
    const { row, meta } = await findLink(deps, tokenText);
    const nowMs = deps.clock.nowMs();
    const digestMatches = meta.sha256 !== null && meta.sha256 === ack.sha256.toLowerCase();
    if (row.state === 'burned' && digestMatches) return { answer: row, writes: [] };
    const leaseHash = ack.claim === undefined ? null : claimHash(deps, ack.claim);
    const live = deps.endings.open.handed(row.id, leaseHash ?? row.lease_hash);
    const outcome = acknowledge(row, { leaseHash, digestMatches, live, nowMs });
    if (!outcome.ok) throw readRefusal(row, outcome);
    const gone = dropBytes(outcome.transfer);
    return {
      answer: gone.row,
      writes: [
        { kind: 'update', table: 'transfers', row: gone.row, expectVersion: row.version },
        ...gone.writes,
        linkAudit(row, nowMs, { action: 'transfer.delivered', from: ack.from, detail: { by: 'ack' } }),
      ],
    };
  });
  await deleteBlob(deps, burned);
  return burned;
}
