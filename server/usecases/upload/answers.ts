import type { TransferAnswer } from '#sdk/protocol';
import { toBase64url } from '../../domain/base64url.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { openMeta } from '../sealing/transfer-meta.ts';

/** What an upload leads to: the link's token once more for who may have it, or the receipt after the end. */
export interface UploadResult {
  row: TransferRow;
  /** base64url token of the link; null when the transfer has ended and its link can never be made again. */
  token: string | null;
  sha256: string;
  filename: string;
  replayed: boolean;
}

export function uploadResult(deps: Deps, row: TransferRow, token: Uint8Array | null, replayed: boolean): UploadResult {
  const meta = openMeta(deps.keyring, row);
  return {
    row,
    token: token === null ? null : toBase64url(token),
    sha256: meta.sha256 ?? '',
    filename: meta.filename,
    replayed,
  };
}

const iso = (ms: number) => new Date(ms).toISOString();
const isoOrNull = (ms: number | null) => (ms === null ? null : iso(ms));

/** The receipt as its account sees it. */
export function transferAnswer(deps: Deps, row: TransferRow): TransferAnswer {
  const meta = openMeta(deps.keyring, row);
  return {
    id: row.id,
    state: row.state,
    size: row.size ?? row.offset,
    sha256: meta.sha256,
    filename: meta.filename,
    recipient: meta.recipient,
    note: meta.note,
    content_type: meta.contentType,
    created_at: iso(row.created_at_ms),
    ready_at: isoOrNull(row.ready_at_ms),
    expires_at: iso(row.expires_at_ms),
    claimed_at: isoOrNull(row.claimed_at_ms),
    ended_at: isoOrNull(row.ended_at_ms),
    delivered_by: row.delivered_by,
    attempts: row.attempts,
    attempts_max: row.attempts_max,
    bytes_served: row.bytes_served,
    held: row.held,
    burn: row.burn,
    require_claim: row.require_claim,
    sealed: row.end_to_end,
    device_id: row.device_id,
    key_id: row.key_id,
    receipt_until: iso(row.receipt_until_ms),
  };
}
