import type { TransferRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { type LinkSecrets, linkSecrets, tokenOf, tokenOfUpload, uploadIdOf } from '../sealing/link.ts';

export interface FoundUpload {
  row: TransferRow;
  secrets: LinkSecrets;
}

/**
 * The upload that a Location's secret leads to, if it is the caller's: same account, and same device (or key, where
 * there is no device), so that a device may finish under its next key what it began under its last. Whatever does not
 * fit is `upload_unknown`, told apart by nothing.
 */
export async function findUpload(deps: Deps, caller: Caller, secretText: string): Promise<FoundUpload> {
  const secret = tokenOf(secretText);
  const row =
    secret === null ? null : await deps.store.get('transfers', { upload_id: uploadIdOf(deps.crypto, secret) });
  if (secret === null || row === null || row.account_id !== caller.accountId || row.subject !== caller.subject) {
    throw new FuselinkError('upload_unknown', 'There is no such upload of this device or key.');
  }
  return { row, secrets: linkSecrets(deps.crypto, tokenOfUpload(deps.crypto, secret)) };
}

/** Throws `upload_gone` where the upload ended without (or after) its file: it was given up, burned, read or expired. */
export function refuseEnded(deps: Deps, row: TransferRow): void {
  const givenUp =
    row.state === 'uploading' && (row.upload_deadline_ms ?? Number.POSITIVE_INFINITY) <= deps.clock.nowMs();
  if (givenUp) throw new FuselinkError('upload_gone', 'This upload was not finished in time.');
  if (row.state === 'expired' || row.state === 'revoked' || row.state === 'burned') {
    throw new FuselinkError('upload_gone', `This upload has ended: its file was ${row.state}.`);
  }
}

/** What requests for one upload hold one after the other. */
export function uploadHoldName(row: TransferRow): string {
  return `upload ${row.upload_id}`;
}
