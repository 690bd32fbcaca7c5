import { segmentBytesFor } from '../../domain/upload/segments.ts';
import type { UploadFields } from '../../domain/upload/upload-options.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireWriter, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { linkSecrets, TOKEN_BYTES, tokenOfUpload, uploadIdOf } from '../sealing/link.ts';
import { admitUpload, limitExceeded, uploadWindow, uploadWindowId } from './admission.ts';
import { findIdempotent, idempotentToken, newIdempotency, newTransfer } from './new-transfer.ts';
import { checkedFields, checkedIdempotencyKey, stillValidKey } from './receive-upload.ts';

export interface CreateUpload {
  /** Bytes in all; null for `Upload-Defer-Length: 1`. */
  size: number | null;
  fields: UploadFields;
  idempotencyKey: string | undefined;
  endToEnd: boolean;
}

export interface CreatedUpload {
  row: TransferRow;
  /** 32 bytes that the Location carries: everything about this upload follows from them. */
  secret: Uint8Array;
  replayed: boolean;
}

/**
 * Begins a resumable upload. With an Idempotency-Key a repeat leads to the same upload, however far it has come.
 * Creation is what counts against the limit; going on with it costs nothing.
 */
export async function createUpload(deps: Deps, caller: Caller, request: CreateUpload): Promise<CreatedUpload> {
  requireWriter(caller);
  const key = checkedIdempotencyKey(request.idempotencyKey);
  const options = checkedFields(request.fields);
  const known = key === null ? null : await findIdempotent(deps, caller, key);
  if (key !== null && known !== null) return repeated(deps, caller, { key, known, size: request.size });

  await admitUpload(deps, caller, { bytes: request.size, counts: true });
  const idempotency = key === null ? null : newIdempotency(deps, caller, key);
  const secret = idempotency?.token ?? deps.random.bytes(TOKEN_BYTES);
  const secrets = linkSecrets(deps.crypto, tokenOfUpload(deps.crypto, secret));
  const nowMs = deps.clock.nowMs();
  const row: TransferRow = {
    ...newTransfer(deps, caller, {
      secrets,
      options,
      segmentBytes: segmentBytesFor(request.size),
      size: request.size,
      idempotency,
      endToEnd: request.endToEnd,
    }),
    kind: 'resumable',
    upload_id: uploadIdOf(deps.crypto, secret),
    upload_deadline_ms: nowMs + deps.settings.resumableTtlMs,
  };
  const { uploadsPerWindow, uploadWindowMs } = deps.settings;
  const outcome = await deps.store.commit([
    { kind: 'insert', table: 'transfers', row },
    ...whileKeyHolds(caller),
    { kind: 'take', id: uploadWindowId(caller), atMs: nowMs, windowMs: uploadWindowMs, max: uploadsPerWindow },
    auditOf(caller, nowMs, { action: 'upload.begun', subject: row.id, detail: { size: row.size } }),
  ]);
  if (outcome.ok) return { row, secret, replayed: false };
  if (outcome.reason === 'window-full') throw limitExceeded(deps, await uploadWindow(deps, caller));
  await stillValidKey(deps, caller);
  // A twin of this request (same Idempotency-Key) was first, or the key moved on: what is there now decides.
  return createUpload(deps, caller, request);
}

function repeated(
  deps: Deps,
  caller: Caller,
  request: { key: string; known: TransferRow; size: number | null },
): CreatedUpload {
  const { key, known, size } = request;
  if (known.kind !== 'resumable' || (size !== null && known.size !== null && size !== known.size)) {
    throw new FuselinkError(
      'idempotency_mismatch',
      `Expected the same upload as in the first request with this Idempotency-Key (${known.size ?? 'unknown'} bytes), got another one (${size ?? 'unknown'} bytes).`,
    );
  }
  if (known.idempotency_salt === null) {
    throw new FuselinkError('upload_gone', `What this Idempotency-Key stands for has ended: it was ${known.state}.`);
  }
  return { row: known, secret: idempotentToken(deps, caller, key, known.idempotency_salt), replayed: true };
}
