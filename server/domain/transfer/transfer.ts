import type { BurnRule, TransferState } from '#sdk/protocol';
import type { AccountId, DeviceId, KeyId, Subject, TransferId, UploadId } from '../ids.ts';
import type { Ranges } from '../reading/byte-ranges.ts';

/**
 * One file on its way, as the rules see it. Times are Unix milliseconds.
 *
 *   uploading → ready ⇄ claimed → burned
 *        ready | claimed → expired | revoked
 *
 * `held` is a ready transfer whose readers failed too often: its owner reopens or burns it.
 */
export interface Transfer {
  id: TransferId;
  account_id: AccountId;
  key_id: KeyId;
  device_id: DeviceId | null;
  subject: Subject;
  state: TransferState;
  kind: 'one-shot' | 'resumable';
  upload_id: UploadId | null;
  /** Bytes in all; null while a resumable upload has not said (Upload-Defer-Length). */
  size: number | null;
  /** Bytes that are durable. */
  offset: number;
  segment_bytes: number;
  /** Where the sealed bytes are: in `bodies`, in the blob store, or deleted. */
  storage: 'inline' | 'blob' | 'gone';
  /** Name, recipient, note, content type, digest: sealed under FUSELINK_SECRET. */
  sealed_meta: Uint8Array;
  /** Keyed blind index of the recipient, for filters. */
  recipient_index: string | null;
  end_to_end: boolean;
  created_at_ms: number;
  /** While uploading: when it is given up unless more bytes come. */
  upload_deadline_ms: number | null;
  ready_at_ms: number | null;
  expires_at_ms: number;
  claimed_at_ms: number | null;
  ended_at_ms: number | null;
  receipt_until_ms: number;
  ttl_seconds: number;
  receipt_ttl_seconds: number;
  burn: BurnRule;
  require_claim: boolean;
  attempts_max: number;
  lease_seconds: number;
  delivered_by: string | null;
  attempts: number;
  attempts_without_progress: number;
  bytes_served: number;
  held: boolean;
  /** SHA-256 (base64url) of the claim token, or of an implicit reader's tag. */
  lease_hash: string | null;
  /** How the last lease was taken; `parallel`: by plain GETs that overlapped. */
  lease_kind: 'claim' | 'implicit' | 'parallel' | null;
  lease_expires_at_ms: number | null;
  /** Requests being served under the lease. */
  lease_readers: number;
  /** What the reader of the last lease has: proven to have arrived, or (under a claim) handed over. */
  delivered: Ranges;
  /** Ranges ever written to a socket, arrival unproven. */
  served: Ranges;
  /** When a complete read behind a proxy counts as delivered for want of a better proof. */
  grace_until_ms: number | null;
  /** HMAC of subject and Idempotency-Key; outlives the burn. */
  idempotency_hash: string | null;
  /** Random salt of the link's token; destroyed at burn. */
  idempotency_salt: Uint8Array | null;
  version: number;
}

/** A copy with changes and the next version: what an update writes. */
export function changed(transfer: Transfer, changes: Partial<Transfer>): Transfer {
  return { ...transfer, ...changes, version: transfer.version + 1 };
}

/** Whether nothing can happen to this transfer any more, but for its receipt to be dropped. */
export function hasEnded(transfer: Transfer): boolean {
  return transfer.state === 'burned' || transfer.state === 'expired' || transfer.state === 'revoked';
}

/** A break loses what was on its way, megabytes of socket buffers: on a bad line they must not add up to the cap. */
const SERVED_BYTES_MIN = 67_108_864;

/** The bytes a transfer may be served in all before it is held: each attempt may read it whole, and one more. */
export function bytesServedMax(transfer: Transfer): number {
  return (transfer.attempts_max + 1) * Math.max(transfer.size ?? 0, SERVED_BYTES_MIN);
}
