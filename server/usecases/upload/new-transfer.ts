import { toBase64url, utf8 } from '../../domain/base64url.ts';
import type { UploadOptions } from '../../domain/upload/upload-options.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { type LinkSecrets, TOKEN_BYTES } from '../sealing/link.ts';
import { recipientIndex, sealMeta } from '../sealing/transfer-meta.ts';

/** The row of an upload that begins now, in state `uploading`. */
export function newTransfer(
  deps: Deps,
  caller: Caller,
  what: {
    secrets: Pick<LinkSecrets, 'id'>;
    options: UploadOptions;
    segmentBytes: number;
    size: number | null;
    idempotency: Idempotency | null;
    endToEnd?: boolean;
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
    ...describedBy(deps, caller, what.secrets, options, null),
    end_to_end: what.endToEnd ?? false,
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
) {
  const nowMs = deps.clock.nowMs();
  const { filename, recipient, note, contentType } = options;
  const expiresAtMs = nowMs + options.ttlSeconds * 1000;
  return {
    sealed_meta: sealMeta(deps.keyring, secrets.id, { filename, recipient, note, contentType, sha256 }),
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

/** What is kept of an Idempotency-Key: an HMAC to find it by, and the salt of the link it leads to. */
export interface Idempotency {
  hash: string;
  /** `keyring version (1) ‖ 16 random bytes`. */
  salt: Uint8Array;
  token: Uint8Array;
}

const SALT_BYTES = 17;

/** token = HMAC(FUSELINK_SECRET, salt ‖ account ‖ device or key ‖ k); k itself is not kept. */
export function newIdempotency(deps: Deps, caller: Caller, key: string): Idempotency {
  const salt = new Uint8Array(SALT_BYTES);
  salt[0] = deps.keyring.current;
  salt.set(deps.random.bytes(SALT_BYTES - 1), 1);
  return { hash: idempotencyHash(deps, caller, key), salt, token: idempotentToken(deps, caller, key, salt) };
}

export function idempotentToken(deps: Deps, caller: Caller, key: string, salt: Uint8Array): Uint8Array {
  const scope = utf8(`${caller.accountId}\n${caller.subject}\n${key}`);
  return deps.keyring.mac('idempotent link', [salt, scope], salt[0]).subarray(0, TOKEN_BYTES);
}

export function idempotencyHash(deps: Deps, caller: Caller, key: string, version?: number): string {
  const mac = deps.keyring.mac('idempotency index', [utf8(`${caller.accountId}\n${caller.subject}\n${key}`)], version);
  return toBase64url(mac);
}

/** The transfer that this caller's key already stands for, whichever version of the secret it was made under. */
export async function findIdempotent(deps: Deps, caller: Caller, key: string): Promise<TransferRow | null> {
  for (const version of deps.keyring.versions) {
    const row = await deps.store.get('transfers', { idempotency_hash: idempotencyHash(deps, caller, key, version) });
    if (row !== null) return row;
  }
  return null;
}
