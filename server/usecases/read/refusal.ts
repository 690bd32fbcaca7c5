import type { ReadRefused } from '../../domain/transfer/reading.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { FuselinkError } from '../error.ts';

/** The error of a refused reader, in words that help whoever holds the link. */
export function readRefusal(row: TransferRow, refused: ReadRefused): FuselinkError {
  const extras = refused.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: refused.retryAfterSeconds };
  return new FuselinkError(refused.code, detailOf(row, refused), extras);
}

function detailOf(row: TransferRow, refused: ReadRefused): string {
  const at = (ms: number | null) => (ms === null ? 'earlier' : new Date(ms).toISOString());
  switch (refused.code) {
    case 'link_burned':
      return `This file was read at ${at(row.ended_at_ms ?? row.grace_until_ms)} and is gone: each link works once.`;
    case 'link_expired':
      return `This link expired at ${at(row.expires_at_ms)} and its file is gone.`;
    case 'link_revoked':
      return `The sender burned this file at ${at(row.ended_at_ms)}, before it was read.`;
    case 'transfer_leased':
      return row.grace_until_ms === null
        ? `Somebody is reading this file now. If the read breaks, it can be read again in ${refused.retryAfterSeconds ?? 1} s at the latest.`
        : `This file was read just now. Unless that reader asks for it again, it is burned at ${at(row.grace_until_ms)}.`;
    case 'transfer_held':
      return `Reading this file failed ${row.attempts} times, so it is held until its owner reopens or burns it.`;
    case 'claim_required':
      return 'Expected a claim first: POST /get/:token/claim, then GET /get/:token/content, then POST /get/:token/ack (fuselink receive does all three).';
    case 'claim_unknown':
      return 'Expected the claim that holds the lease on this file, got another one or none. Claim again and go on with Range.';
    case 'ack_digest_mismatch':
      return 'Expected the SHA-256 of the file as it was sent, got another one: read it again, nothing was burned.';
    case 'ack_incomplete':
      return 'Expected an acknowledgement after every byte was served, got one before: nothing was burned.';
    case 'transfer_uploading':
      return 'The sender has not finished sending this file.';
    default:
      return `This file cannot be read now (${refused.code}).`;
  }
}
