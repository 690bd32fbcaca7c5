import type { TransferRow } from '../../ports/tables.ts';
import { type Caller, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import type { AbortSignalLike } from './active-uploads.ts';
import { refuseOversize } from './admission.ts';
import { type UploadResult, uploadResult } from './answers.ts';
import { findUpload, refuseEnded } from './find-upload.ts';
import { ResumableIntake } from './resumable-intake.ts';

export interface AppendUpload {
  secretText: string;
  /** `Upload-Offset` of the request. */
  offset: number;
  /** `Upload-Length`, for an upload whose length was deferred. */
  size: number | null;
  /** Announced bytes of this chunk, where known. */
  bytes: number | null;
  body: AsyncIterable<Uint8Array>;
  /** `Upload-Checksum`: digests of the chunk are compared before any of it counts. */
  checksum: { algorithm: string; hash: { update(bytes: Uint8Array): void }; matches(): boolean } | null;
  admitted(): void;
}

export interface AppendResult {
  row: TransferRow;
  /** The link, when this chunk made the file whole. */
  result: UploadResult | null;
}

/**
 * Adds a chunk of any size to a resumable upload. What has come is kept even when the request breaks: checkpoints
 * make it durable as it grows, and the rest when the request ends, however it ends. With a checksum it is all of the
 * chunk or nothing. Pre-empts an earlier request for the same upload.
 */
export async function appendUpload(deps: Deps, caller: Caller, request: AppendUpload): Promise<AppendResult> {
  requireWriter(caller);
  const first = await findUpload(deps, caller, request.secretText);
  refuseEnded(deps, first.row);
  const active = await deps.active.begin(caller.subject, `upload ${first.row.upload_id}`);
  try {
    const { row, secrets } = await findUpload(deps, caller, request.secretText);
    refuseEnded(deps, row);
    const size = agreedSize(row, request.size);
    refuseWrongOffset(row, request);
    refuseOversize(deps, size);
    refuseOversize(deps, request.offset + (request.bytes ?? 0));
    if (size !== null && request.bytes !== null && request.offset + request.bytes > size)
      throw beyondLength(size, request);
    request.admitted();
    if (row.state !== 'uploading') return { row, result: uploadResult(deps, row, secrets.token, false) };

    const intake = await ResumableIntake.open(deps, { row, size, secrets, caller });
    await receive(deps, intake, { ...request, size }, active.signal);
    if (intake.offset !== size) return { row: intake.row, result: null };
    const ready = await intake.complete();
    return { row: ready, result: uploadResult(deps, ready, secrets.token, false) };
  } finally {
    active.done();
  }
}

/** Reads the chunk; on any break keeps what came (or, with a checksum, nothing of it) and lets the error through. */
async function receive(
  deps: Deps,
  intake: ResumableIntake,
  request: AppendUpload,
  signal: AbortSignalLike,
): Promise<void> {
  const { size, checksum } = request;
  try {
    for await (const chunk of request.body) {
      if (signal.aborted)
        throw new FuselinkError(
          'upload_preempted',
          'A newer request for this upload took over; go on from its offset.',
        );
      if (size !== null && intake.offset + chunk.length > size) throw beyondLength(size, request);
      refuseOversize(deps, intake.offset + chunk.length);
      checksum?.hash.update(chunk);
      await intake.push(chunk, { mayCheckpoint: checksum === null });
    }
    if (checksum !== null && !checksum.matches()) {
      throw new FuselinkError(
        'tus_checksum_mismatch',
        `Expected a chunk with the announced ${checksum.algorithm}, got another; nothing of it was kept.`,
      );
    }
  } catch (error) {
    if (checksum === null) await keepOrAbandon(deps, intake);
    else await intake.abandon();
    throw error;
  }
  if (intake.offset !== size) await intake.keep();
}

/** Keeping may itself fail (a full disk, say): the client then goes on from what was durable before. */
async function keepOrAbandon(deps: Deps, intake: ResumableIntake): Promise<void> {
  try {
    await intake.keep();
  } catch (error) {
    await intake.abandon();
    if (!(error instanceof FuselinkError)) deps.warn('the end of a broken chunk could not be kept', error);
  }
}

function agreedSize(row: TransferRow, said: number | null): number | null {
  if (said === null || row.size === said) return row.size;
  if (row.size === null) return said;
  throw new FuselinkError('invalid_field', `Upload-Length: expected ${row.size}, as at creation, got ${said}.`, {
    errors: [{ field: 'upload-length', detail: `expected ${row.size}, got ${said}` }],
  });
}

function refuseWrongOffset(row: TransferRow, request: AppendUpload): void {
  if (request.offset === row.offset) return;
  throw new FuselinkError('tus_offset_mismatch', `Expected Upload-Offset ${row.offset}, got ${request.offset}.`, {
    headers: { 'upload-offset': String(row.offset) },
  });
}

function beyondLength(size: number, request: AppendUpload): FuselinkError {
  return new FuselinkError(
    'payload_too_large',
    `Expected at most ${size - request.offset} bytes up to the announced length of ${size}, got more.`,
  );
}
