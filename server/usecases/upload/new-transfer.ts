import type { UploadOptions } from '../../domain/upload/upload-options.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import type { LinkSecrets } from '../sealing/link.ts';
import { recipientIndex, sealMeta } from '../sealing/transfer-meta.ts';
import type { Idempotency } from './idempotency.ts';

/** The row of an upload that begins now, in state `uploading`. */
export function newTransfer(
  deps: Deps,
  caller: Caller,
  what: {
    secrets: Pick<LinkSecrets, 'id'>;
    options: UploadOptions;
    segmentBytes: number;
    size: number | null;
    /** Kept with the row from the start by resumable uploads; the others take their key with the last commit. */
    idempotency?: Idempotency | null;
    /** SHA-256 the whole is to have, hex. */
    announcedSha256?: string | null;
  },
): TransferRow {
  const { options } = what;
  const nowMs = deps.clock.nowMs();
  return {
    id: what.secrets.id,
    account_id: caller.accountId,
    key_id: caller.key.id,
    device_id: caller.deviceId,
    subject: caller.subject,
    state: 'uploading',
    kind: 'one-shot',
    upload_id: null,
    size: what.size,
    offset: 0,
    segment_bytes: what.segmentBytes,
    storage: 'inline',
    ...describedBy(deps, caller, what.secrets, options, null, what.announcedSha256 ?? undefined),
    // Told by the bytes, once they come.
    end_to_end: false,
    created_at_ms: nowMs,
    upload_deadline_ms: nowMs + deps.settings.uploadDeadlineMs,
    ready_at_ms: null,
    claimed_at_ms: null,
    ended_at_ms: null,
    delivered_by: null,
    attempts: 0,
    attempts_without_progress: 0,
    bytes_served: 0,
    held: false,
    lease_hash: null,
    lease_kind: null,
    lease_expires_at_ms: null,
    lease_readers: 0,
    delivered: [],
    served: [],
    grace_until_ms: null,
    idempotency_hash: what.idempotency?.hash ?? null,
    idempotency_salt: what.idempotency?.salt ?? null,
    version: 1,
  };
}

/** The columns that follow from what the sender said, which may come after the file. */
export function describedBy(
  deps: Deps,
  caller: Pick<Caller, 'accountId'>,
  secrets: Pick<LinkSecrets, 'id'>,
  options: UploadOptions,
  sha256: string | null,
  announced?: string,
) {
  const nowMs = deps.clock.nowMs();
  const { filename, recipient, note, contentType } = options;
  const expiresAtMs = nowMs + options.ttlSeconds * 1000;
  return {
    sealed_meta: sealMeta(deps.keyring, secrets.id, {
      ...{ filename, recipient, note, contentType, sha256 },
      ...(announced === undefined ? {} : { announced }),
    }),
    recipient_index: recipient === null ? null : recipientIndex(deps.keyring, caller.accountId, recipient),
    expires_at_ms: expiresAtMs,
    receipt_until_ms: expiresAtMs + options.receiptTtlSeconds * 1000,
    ttl_seconds: options.ttlSeconds,
    receipt_ttl_seconds: options.receiptTtlSeconds,
    burn: options.burn,
    require_claim: options.requireClaim,
    attempts_max: options.attemptsMax,
    lease_seconds: options.leaseSeconds,
  };
}
