import { toHex } from '../../domain/base64url.ts';
import { SealedStart } from '../../domain/upload/sealed-start.ts';
import { segmentBytesFor } from '../../domain/upload/segments.ts';
import type { UploadFields, UploadOptions } from '../../domain/upload/upload-options.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireWriter, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { proofWrites } from '../rotation/hear.ts';
import { linkSecrets, TOKEN_BYTES } from '../sealing/link.ts';
import { openMeta } from '../sealing/transfer-meta.ts';
import { limitExceeded, refuseOversize, takePlace, uploadWindow, uploadWindowId } from './admission.ts';
import { type UploadResult, uploadResult } from './answers.ts';
import { BodyIntake } from './body-intake.ts';
import { checkedFields, checkedIdempotencyKey, refuseWrongDigest, stillValidKey } from './checks.ts';
import { findIdempotent, idempotentToken, newIdempotency } from './idempotency.ts';
import { describedBy, newTransfer } from './new-transfer.ts';
import { type Room, refuseOverQuota, roomOf } from './quota.ts';
import { refuseUnsealed } from './require-sealed.ts';

/** One upload in one request, whatever form it came in. */
export interface UploadSource {
  /** Bytes of the file where they are announced exactly; null where only their end will tell. */
  bytes: number | null;
  /** The size to plan for where `bytes` is null (a multipart request's length, say). */
  bytesHint: number | null;
  /** What is known before the body. */
  fieldsBefore: UploadFields;
  /** The file. Ends only when it is complete; throws FuselinkError where it was cut or malformed. */
  body: AsyncIterable<Uint8Array>;
  /** Everything that was said, also behind the file. Called after `body` has ended. */
  fieldsAfter(): UploadFields;
  idempotencyKey: string | undefined;
  /** SHA-256 the sender announced, 64 hex characters. */
  announcedSha256: string | null;
  /** Called once admission has passed: the moment for `100 Continue`. */
  admitted(): void;
  /** Resolves when the client should rather be told to come again than be kept waiting for a place. */
  patience(): Promise<void>;
}

/**
 * Receives a file in one request and makes its link.
 *
 * Small bodies cost one commit, which holds the bytes as well; larger ones are announced by a row in state
 * `uploading` before their first byte reaches the blob store, so that whatever a crash leaves is known to the sweep.
 * Whatever goes wrong before the last commit leaves nothing behind. An Idempotency-Key is taken by that commit, too:
 * of several requests with one key the first to be complete makes the transfer, and the others are its repeats.
 */
export async function receiveUpload(deps: Deps, caller: Caller, source: UploadSource): Promise<UploadResult> {
  requireWriter(caller);
  const key = checkedIdempotencyKey(source.idempotencyKey);
  const before = checkedFields(source.fieldsBefore);
  refuseOversize(deps, source.bytes);
  const known = key === null ? null : await findIdempotent(deps, caller, key);
  const room = await roomOf(deps, caller.accountId);
  if (known === null) refuseOverQuota(room, source.bytes ?? 0);
  else refuseOtherSize(known, source.bytes);

  const kind = known === null ? 'new' : 'resumed';
  const place = await takePlace(deps, caller, { kind, patience: source.patience });
  try {
    source.admitted();
    if (key !== null && known !== null) return await repeatOf(deps, caller, { source, key, known });
    return await receiveNew(deps, caller, source, { key, before, room });
  } finally {
    place.release();
  }
}

async function receiveNew(
  deps: Deps,
  caller: Caller,
  source: UploadSource,
  request: { key: string | null; before: UploadOptions; room: Room },
): Promise<UploadResult> {
  const { key } = request;
  const idempotency = key === null ? null : newIdempotency(deps, caller, key);
  const secrets = linkSecrets(deps.crypto, idempotency?.token ?? deps.random.bytes(TOKEN_BYTES));
  const segmentBytes = segmentBytesFor(source.bytes ?? source.bytesHint);
  const row = newTransfer(deps, caller, { secrets, options: request.before, segmentBytes, size: source.bytes });
  const intake = new BodyIntake(deps, secrets, row);
  const start = new SealedStart();
  const { requireSealed } = request.room;
  try {
    for await (const chunk of source.body) {
      start.take(chunk);
      if (requireSealed) refuseUnsealed(start);
      refuseOversize(deps, intake.bytes + chunk.length);
      refuseOverQuota(request.room, intake.bytes + chunk.length);
      await intake.push(chunk);
    }
    if (requireSealed) refuseUnsealed(start, true);
    const options = checkedFields(source.fieldsAfter());
    const digest = toHex(await intake.finish());
    refuseWrongDigest(source.announcedSha256, digest);
    await refuseNoRoomLeft(deps, caller, intake);

    const nowMs = deps.clock.nowMs();
    const ready: TransferRow = {
      ...intake.row,
      ...describedBy(deps, caller, secrets, options, digest),
      state: 'ready',
      end_to_end: start.sealed,
      size: intake.bytes,
      offset: intake.bytes,
      upload_deadline_ms: null,
      ready_at_ms: nowMs,
      idempotency_hash: idempotency?.hash ?? null,
      idempotency_salt: idempotency?.salt ?? null,
    };
    const { uploadsPerWindow, uploadWindowMs } = deps.settings;
    for (let holder = caller; ; ) {
      const proof = await proofWrites(deps, holder);
      const outcome = await intake.commit(ready, [
        ...whileKeyHolds(holder),
        ...proof.writes,
        { kind: 'take', id: uploadWindowId(caller), atMs: nowMs, windowMs: uploadWindowMs, max: uploadsPerWindow },
        auditOf(caller, nowMs, { action: 'transfer.sent', subject: row.id, detail: { size: ready.size } }),
      ]);
      if (outcome.ok) {
        proof.committed();
        return uploadResult(deps, outcome.row, secrets.token, false);
      }
      if (outcome.reason === 'window-full') throw limitExceeded(deps, await uploadWindow(deps, caller));
      const first = outcome.reason === 'exists' && key !== null ? await findIdempotent(deps, caller, key) : null;
      if (key !== null && first !== null) {
        const result = sameAsFirst(deps, caller, { key, known: first, sha256: digest });
        await intake.discard();
        return result;
      }
      const holding = await stillValidKey(deps, caller);
      if (holding.version === holder.key.version && !(await proof.moved())) {
        throw new FuselinkError(
          'upload_preempted',
          'This upload was taken for abandoned and cleared away; send it again.',
        );
      }
      holder = { ...caller, key: holding };
    }
  } catch (error) {
    await intake.discard();
    throw error;
  }
}

/** Others may have filled the account meanwhile, and a size that was not announced is known only now. */
async function refuseNoRoomLeft(deps: Deps, caller: Caller, intake: BodyIntake): Promise<void> {
  const room = await roomOf(deps, caller.accountId);
  refuseOverQuota({ ...room, bytes: room.bytes + intake.reservedBytes }, intake.bytes);
}

interface Repeat {
  source: UploadSource;
  key: string;
  known: TransferRow;
}

/** Reads the body of a repeat only to compare it: another body under the same key is a mistake that must be told. */
async function repeatOf(deps: Deps, caller: Caller, { source, key, known }: Repeat): Promise<UploadResult> {
  const hash = deps.crypto.hash();
  let bytes = 0;
  for await (const chunk of source.body) {
    bytes += chunk.length;
    refuseOversize(deps, bytes);
    hash.update(chunk);
  }
  return sameAsFirst(deps, caller, { key, known, sha256: toHex(hash.digest()) });
}

/** The first upload's link once more, or its receipt where it has ended; throws where this body is another one. */
function sameAsFirst(
  deps: Deps,
  caller: Caller,
  { key, known, sha256 }: { key: string; known: TransferRow; sha256: string },
): UploadResult {
  if (known.kind !== 'one-shot' || sha256 !== openMeta(deps.keyring, known).sha256) throw usedForAnotherBody();
  const salt = known.idempotency_salt;
  return uploadResult(deps, known, salt === null ? null : idempotentToken(deps, caller, key, salt), true);
}

/** A body of another size cannot be the same one: told before it is read. */
function refuseOtherSize(known: TransferRow, bytes: number | null): void {
  if (known.kind !== 'one-shot' || (bytes !== null && bytes !== known.size)) throw usedForAnotherBody();
}

function usedForAnotherBody(): FuselinkError {
  return new FuselinkError(
    'idempotency_mismatch',
    'Expected the same body as in the first request with this Idempotency-Key, got another one. Use a new key for a new file.',
  );
}
