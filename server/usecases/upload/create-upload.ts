import { segmentBytesFor } from '../../domain/upload/segments.ts';
import type { UploadFields, UploadOptions } from '../../domain/upload/upload-options.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireWriter, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { linkSecrets, TOKEN_BYTES, tokenOfUpload, uploadIdOf } from '../sealing/link.ts';
import { limitExceeded, refuseOversize, takePlace, uploadWindow, uploadWindowId } from './admission.ts';
import { checkedFields, checkedIdempotencyKey, stillValidKey } from './checks.ts';
import { findIdempotent, idempotentToken, newIdempotency } from './idempotency.ts';
import { newTransfer } from './new-transfer.ts';
import { refuseOverQuota, roomOf } from './quota.ts';

export interface CreateUpload {
  /** Bytes in all; null for `Upload-Defer-Length: 1`. */
  size: number | null;
  fields: UploadFields;
  /** SHA-256 the whole is to have: another one is never committed. Null: its sender compares what the end tells. */
  announcedSha256: string | null;
  idempotencyKey: string | undefined;
  /** Resolves when the client should rather be told to come again than be kept waiting for a place. */
  patience(): Promise<void>;
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

  refuseOversize(deps, request.size);
  refuseOverQuota(await roomOf(deps, caller.accountId), request.size ?? 0);
  const place = await takePlace(deps, caller, { kind: 'new', patience: request.patience });
  try {
    return await begin(deps, caller, { ...request, options, key });
  } finally {
    place.release();
  }
}

async function begin(
  deps: Deps,
  caller: Caller,
  request: CreateUpload & { options: UploadOptions; key: string | null },
): Promise<CreatedUpload> {
  const { key, options, size, announcedSha256 } = request;
  const idempotency = key === null ? null : newIdempotency(deps, caller, key);
  const secret = idempotency?.token ?? deps.random.bytes(TOKEN_BYTES);
  const secrets = linkSecrets(deps.crypto, tokenOfUpload(deps.crypto, secret));
  const nowMs = deps.clock.nowMs();
  const row: TransferRow = {
    ...newTransfer(deps, caller, {
      secrets,
      options,
      segmentBytes: segmentBytesFor(size),
      size,
      idempotency,
      announcedSha256,
    }),
    kind: 'resumable',
    upload_id: uploadIdOf(deps.crypto, secret),
    upload_deadline_ms: nowMs + deps.settings.resumableTtlMs,
  };
  const { uploadsPerWindow, uploadWindowMs } = deps.settings;
  for (let holder = caller; ; ) {
    const outcome = await deps.store.commit([
      { kind: 'insert', table: 'transfers', row },
      ...whileKeyHolds(holder),
      { kind: 'take', id: uploadWindowId(caller), atMs: nowMs, windowMs: uploadWindowMs, max: uploadsPerWindow },
      auditOf(caller, nowMs, { action: 'upload.begun', subject: row.id, detail: { size: row.size } }),
    ]);
    if (outcome.ok) return { row, secret, replayed: false };
    if (outcome.reason === 'window-full') throw limitExceeded(deps, await uploadWindow(deps, caller));
    // A twin of this request was first: it is its repeat.
    const known = outcome.reason === 'exists' && key !== null ? await findIdempotent(deps, caller, key) : null;
    if (key !== null && known !== null) return repeated(deps, caller, { key, known, size });
    holder = { ...caller, key: await stillValidKey(deps, caller) };
  }
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
    // Whoever asks again because it never heard of the end is told of the receipt.
    const headers = known.ready_at_ms === null ? {} : { 'fuselink-id': known.id };
    const detail = `What this Idempotency-Key stands for has ended: it was ${known.state}.`;
    throw new FuselinkError('upload_gone', detail, { headers });
  }
  return { row: known, secret: idempotentToken(deps, caller, key, known.idempotency_salt), replayed: true };
}
