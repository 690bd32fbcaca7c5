import { fromHex, toHex } from '../../domain/base64url.ts';
import { checkIdempotencyKey } from '../../domain/upload/idempotency-key.ts';
import { segmentBytesFor } from '../../domain/upload/segments.ts';
import { checkUploadFields, type UploadFields, type UploadOptions } from '../../domain/upload/upload-options.ts';
import { auditOf, type Caller, requireWriter, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { linkSecrets, TOKEN_BYTES } from '../sealing/link.ts';
import { openMeta } from '../sealing/transfer-meta.ts';
import type { AbortSignalLike } from './active-uploads.ts';
import { admitUpload, limitExceeded, refuseOversize, uploadWindow, uploadWindowId } from './admission.ts';
import { type UploadResult, uploadResult } from './answers.ts';
import { BodyIntake } from './body-intake.ts';
import {
  describedBy,
  findIdempotent,
  idempotencyHash,
  idempotentToken,
  newIdempotency,
  newTransfer,
} from './new-transfer.ts';

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
}

/**
 * Receives a file in one request and makes its link.
 *
 * Small bodies cost one commit, which holds the bytes as well; larger ones are announced by a row in state
 * `uploading` before their first byte reaches the blob store, so that whatever a crash leaves is known to the sweep.
 * Whatever goes wrong before the last commit leaves nothing behind.
 */
export async function receiveUpload(deps: Deps, caller: Caller, source: UploadSource): Promise<UploadResult> {
  requireWriter(caller);
  const key = checkedIdempotencyKey(source.idempotencyKey);
  const before = checkedFields(source.fieldsBefore);
  const name = key === null ? null : `idempotency ${idempotencyHash(deps, caller, key)}`;

  const known = key === null ? null : await findIdempotent(deps, caller, key);
  const repeats = known !== null && known.state !== 'uploading';
  await admitUpload(deps, caller, { bytes: source.bytes, counts: !repeats });

  const active = await deps.active.begin(caller.subject, name);
  try {
    // Looked up again: the holder of the name may just have finished.
    const repeated = key === null ? null : await findIdempotent(deps, caller, key);
    if (key !== null && repeated !== null && repeated.state !== 'uploading') {
      if (repeated.kind !== 'one-shot') throw usedForAnotherBody();
      source.admitted();
      await compareWithFirst(deps, source, openMeta(deps.keyring, repeated).sha256, active.signal);
      const ended = repeated.idempotency_salt === null;
      const token = ended ? null : idempotentToken(deps, caller, key, repeated.idempotency_salt as Uint8Array);
      return uploadResult(deps, repeated, token, true);
    }
    if (repeated !== null) await BodyIntake.discardUnfinished(deps, repeated);
    source.admitted();
    return await receiveNew(deps, caller, source, { key, before, signal: active.signal });
  } finally {
    active.done();
  }
}

async function receiveNew(
  deps: Deps,
  caller: Caller,
  source: UploadSource,
  request: { key: string | null; before: UploadOptions; signal: AbortSignalLike },
): Promise<UploadResult> {
  const idempotency = request.key === null ? null : newIdempotency(deps, caller, request.key);
  const secrets = linkSecrets(deps.crypto, idempotency?.token ?? deps.random.bytes(TOKEN_BYTES));
  const segmentBytes = segmentBytesFor(source.bytes ?? source.bytesHint);
  const row = newTransfer(deps, caller, {
    secrets,
    options: request.before,
    segmentBytes,
    size: source.bytes,
    idempotency,
  });
  const intake = new BodyIntake(deps, secrets, row);
  try {
    for await (const chunk of source.body) {
      if (request.signal.aborted) throw preempted();
      refuseOversize(deps, intake.bytes + chunk.length);
      await intake.push(chunk);
    }
    if (request.signal.aborted) throw preempted();
    const options = checkedFields(source.fieldsAfter());
    const digest = toHex(await intake.finish());
    refuseWrongDigest(source.announcedSha256, digest);

    const nowMs = deps.clock.nowMs();
    const ready = {
      ...intake.row,
      ...describedBy(deps, caller, secrets, options, digest),
      state: 'ready' as const,
      size: intake.bytes,
      offset: intake.bytes,
      upload_deadline_ms: null,
      ready_at_ms: nowMs,
    };
    const { uploadsPerWindow, uploadWindowMs } = deps.settings;
    for (let holder = caller; ; ) {
      const outcome = await intake.commit(ready, [
        ...whileKeyHolds(holder),
        { kind: 'take', id: uploadWindowId(caller), atMs: nowMs, windowMs: uploadWindowMs, max: uploadsPerWindow },
        auditOf(caller, nowMs, { action: 'transfer.sent', subject: row.id, detail: { size: ready.size } }),
      ]);
      if (outcome.ok) return uploadResult(deps, outcome.row, secrets.token, false);
      if (outcome.reason === 'window-full') throw limitExceeded(deps, await uploadWindow(deps, caller));
      const key = await stillValidKey(deps, caller);
      if (key.version === holder.key.version) throw preempted();
      holder = { ...caller, key };
    }
  } catch (error) {
    await intake.discard();
    throw error;
  }
}

/** Reads the body of a repeat only to compare it: another body under the same key is a mistake that must be told. */
async function compareWithFirst(
  deps: Deps,
  source: UploadSource,
  firstSha256: string | null,
  signal: AbortSignalLike,
): Promise<void> {
  const hash = deps.crypto.hash();
  let bytes = 0;
  for await (const chunk of source.body) {
    if (signal.aborted) throw preempted();
    bytes += chunk.length;
    refuseOversize(deps, bytes);
    hash.update(chunk);
  }
  if (toHex(hash.digest()) !== firstSha256) throw usedForAnotherBody();
}

function usedForAnotherBody(): FuselinkError {
  return new FuselinkError(
    'idempotency_mismatch',
    'Expected the same body as in the first request with this Idempotency-Key, got another one. Use a new key for a new file.',
  );
}

export function preempted(): FuselinkError {
  return new FuselinkError('upload_preempted', 'A newer request for the same upload took over; this one was given up.');
}

export function checkedFields(fields: UploadFields): UploadOptions {
  const checked = checkUploadFields(fields);
  if (checked.ok) return checked.options;
  const detail = checked.errors.map((problem) => `${problem.field}: ${problem.detail}`).join('; ');
  throw new FuselinkError('invalid_field', `${detail}.`, { errors: checked.errors });
}

export function checkedIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const checked = checkIdempotencyKey(header);
  if (checked.ok) return checked.value;
  throw new FuselinkError('idempotency_key_invalid', `Idempotency-Key: ${checked.detail}.`);
}

/** Throws `digest_mismatch` where the sender announced another digest than that of what came. */
export function refuseWrongDigest(announced: string | null, digest: string): void {
  if (announced !== null && !sameHex(announced, digest)) {
    throw new FuselinkError(
      'digest_mismatch',
      `Expected a body with SHA-256 ${announced.slice(0, 64)}, got one with ${digest}.`,
    );
  }
}

function sameHex(a: string, b: string): boolean {
  return fromHex(a) !== null && a.toLowerCase() === b;
}

/** The caller's key as it is now; throws `key_revoked` where it was revoked since the request began. */
export async function stillValidKey(deps: Deps, caller: Caller): Promise<Caller['key']> {
  const key = await deps.store.get('api_keys', { id: caller.key.id });
  if (key !== null && key.state !== 'revoked') return key;
  throw new FuselinkError(
    'key_revoked',
    'This API key was revoked while the upload was on its way; nothing was kept.',
    {
      fingerprint: caller.key.fingerprint,
    },
  );
}
