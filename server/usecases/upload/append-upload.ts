import type { TransferRow } from '../../ports/tables.ts';
import { type Caller, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import type { AbortSignalLike } from './active-uploads.ts';
import { preempted, refuseOversize, takePlace } from './admission.ts';
import { type UploadResult, uploadResult } from './answers.ts';
import { clearAway } from './dispose.ts';
import { findUpload, refuseEnded, uploadHoldName } from './find-upload.ts';
import { type Room, refuseOverQuota, roomOf } from './quota.ts';
import { ResumableIntake } from './resumable-intake.ts';
import { untilAborted } from './until-aborted.ts';

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
  /** Resolves when the client should rather be told to come again than be kept waiting for a place. */
  patience(): Promise<void>;
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
  const hold = await deps.active.hold(uploadHoldName(first.row));
  try {
    const { row, secrets } = await findUpload(deps, caller, request.secretText);
    refuseEnded(deps, row);
    const size = agreedSize(row, request.size);
    refuseWrongOffset(row, request);
    refuseOversize(deps, size);
    refuseOversize(deps, request.offset + (request.bytes ?? 0));
    if (size !== null && request.bytes !== null && request.offset + request.bytes > size)
      throw beyondLength(size, request);
    const { patience } = request;
    const place = await takePlace(deps, caller, { kind: 'resumed', patience, signal: hold.signal });
    try {
      if (row.state !== 'uploading') return { row, result: uploadResult(deps, row, secrets.token, false) };
      const room = row.size === null ? await roomOf(deps, caller.accountId) : null;
      if (room !== null) refuseOverQuota(room, (size ?? request.offset + (request.bytes ?? 0)) - row.offset);
      request.admitted();
      const intake = await ResumableIntake.open(deps, { row: await fenced(deps, row), size, secrets, caller });
      return await receive(deps, intake, { ...request, size, room, token: secrets.token }, hold.signal);
    } finally {
      place.release();
    }
  } finally {
    hold.release();
  }
}

/**
 * Takes the upload over from other nodes, which a hold does not reach: with the row's version moved, what a node that was
 * paused or cut off has not committed by now it never will. `upload_preempted` where another request was quicker.
 */
async function fenced(deps: Deps, row: TransferRow): Promise<TransferRow> {
  if (deps.settings.singleNode) return row;
  const next: TransferRow = { ...row, version: row.version + 1 };
  const outcome = await deps.store.commit([
    { kind: 'update', table: 'transfers', row: next, expectVersion: row.version },
  ]);
  if (!outcome.ok) throw preempted();
  return next;
}

type Receiving = AppendUpload & { room: Room | null; token: Uint8Array };

/** Reads the chunk; on any break keeps what came (or, with a checksum, nothing of it) and lets the error through. */
async function receive(
  deps: Deps,
  intake: ResumableIntake,
  request: Receiving,
  signal: AbortSignalLike,
): Promise<AppendResult> {
  const { size, checksum } = request;
  try {
    await takeBytes(deps, intake, request, signal);
  } catch (error) {
    if (checksum === null) await keepOrAbandon(deps, intake);
    else await intake.abandon();
    throw error;
  }
  try {
    if (intake.offset !== size) {
      await intake.keep();
      return { row: intake.row, result: null };
    }
    const ready = await intake.complete();
    return { row: ready, result: uploadResult(deps, ready, request.token, false) };
  } catch (error) {
    await intake.abandon();
    // No chunk mends what is not the announced file: nothing is left to go on with.
    if (error instanceof FuselinkError && error.code === 'digest_mismatch') await clearAway(deps, intake.row);
    throw error;
  }
}

async function takeBytes(
  deps: Deps,
  intake: ResumableIntake,
  request: Receiving,
  signal: AbortSignalLike,
): Promise<void> {
  const { size, checksum, room } = request;
  for await (const chunk of untilAborted(request.body, signal, preempted)) {
    if (size !== null && intake.offset + chunk.length > size) throw beyondLength(size, request);
    refuseOversize(deps, intake.offset + chunk.length);
    if (room !== null) refuseOverQuota(room, intake.offset + chunk.length - request.offset);
    checksum?.hash.update(chunk);
    await intake.push(chunk, { mayCheckpoint: checksum === null });
  }
  if (checksum !== null && !checksum.matches()) {
    throw new FuselinkError(
      'tus_checksum_mismatch',
      `Expected a chunk with the announced ${checksum.algorithm}, got another; nothing of it was kept.`,
    );
  }
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
  if (row.size === null && said >= row.offset) return said;
  const expected = row.size === null ? `at least the ${row.offset} bytes that are here` : `${row.size}, as said before`;
  throw new FuselinkError('invalid_field', `Upload-Length: expected ${expected}, got ${said}.`, {
    errors: [{ field: 'upload-length', detail: `expected ${expected}, got ${said}` }],
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
