import { type Caller, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { revokeTransfer } from '../transfer/revoke-transfer.ts';
import { discardUnfinished } from './dispose.ts';
import { findUpload, uploadHoldName } from './find-upload.ts';

/**
 * Ends a resumable upload for good [tus 1.0 termination]: an unfinished one leaves nothing; a finished one is burned
 * by its owner and leaves its receipt.
 */
export async function terminateUpload(deps: Deps, caller: Caller, secretText: string): Promise<void> {
  requireWriter(caller);
  const first = await findUpload(deps, caller, secretText);
  const hold = await deps.active.hold(uploadHoldName(first.row));
  try {
    const { row } = await findUpload(deps, caller, secretText);
    if (row.state === 'uploading') {
      if (!(await discardUnfinished(deps, row))) throw new FuselinkError('conflict', 'This upload moved on meanwhile.');
    } else if (row.state === 'ready' || row.state === 'claimed') await revokeTransfer(deps, caller, row.id);
    else throw new FuselinkError('upload_gone', `This upload has ended: its file was ${row.state}.`);
  } finally {
    hold.release();
  }
}
