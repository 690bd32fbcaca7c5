import { toBase64url, utf8 } from '../../domain/base64url.ts';
import { claim } from '../../domain/transfer/reading.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { openMeta, type TransferMeta } from '../sealing/transfer-meta.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { linkAudit } from './audit.ts';
import { rowOf, secretsOf } from './find-link.ts';
import { readRefusal } from './refusal.ts';

export interface ClaimedLink {
  /** Goes into the `Fuselink-Claim` header. Kept by the server as a hash only. */
  claim: string;
  row: TransferRow;
  meta: TransferMeta;
}

const CLAIM_BYTES = 18;

/** Takes the lease: from now on only this claim reads, until the lease runs out, is given back, or the file is burned. */
export async function claimLink(deps: Deps, tokenText: string, reader: { from: string }): Promise<ClaimedLink> {
  const text = toBase64url(deps.random.bytes(CLAIM_BYTES));
  const secrets = secretsOf(deps, tokenText);
  const claimed = await decideAndCommit(deps.store, async () => {
    const row = await rowOf(deps, secrets);
    const nowMs = deps.clock.nowMs();
    const outcome = claim(row, { leaseHash: claimHash(deps, text), nowMs });
    if (!outcome.ok) throw readRefusal(row, outcome);
    return {
      answer: outcome.transfer,
      writes: [
        { kind: 'update', table: 'transfers', row: outcome.transfer, expectVersion: row.version },
        linkAudit(row, nowMs, { action: 'transfer.claimed', from: reader.from }),
      ],
    };
  });
  return { claim: text, row: claimed, meta: openMeta(deps.keyring, claimed) };
}

export function claimHash(deps: Deps, claimText: string): string {
  return toBase64url(deps.crypto.sha256(utf8(`claim ${claimText}`)));
}
