import type { TransferRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { type UploadResult, uploadResult } from './answers.ts';
import { findUpload, refuseEnded, uploadHoldName } from './find-upload.ts';

export interface UploadStatus {
  row: TransferRow;
  /** The link, once the file is whole. */
  result: UploadResult | null;
}

/**
 * Where an upload stands: the durable offset, or the finished transfer with its link. Asking takes the upload over
 * from a request that is still sending: its peer is most likely gone, and the offset must hold still.
 */
export async function uploadStatus(deps: Deps, caller: Caller, secretText: string): Promise<UploadStatus> {
  const first = await findUpload(deps, caller, secretText);
  refuseEnded(deps, first.row);
  if (first.row.state !== 'uploading') return finished(deps, first);
  const hold = await deps.active.hold(uploadHoldName(first.row));
  try {
    const found = await findUpload(deps, caller, secretText);
    refuseEnded(deps, found.row);
    return found.row.state === 'uploading' ? { row: found.row, result: null } : finished(deps, found);
  } finally {
    hold.release();
  }
}

function finished(deps: Deps, found: Awaited<ReturnType<typeof findUpload>>): UploadStatus {
  return { row: found.row, result: uploadResult(deps, found.row, found.secrets.token, false) };
}
