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
  size: number | null;
  offset: number;
  segment_bytes: number;
  storage: 'inline' | 'blob' | 'gone';
  sealed_meta: Uint8Array;
  recipient_index: string | null;
  end_to_end: boolean;
  created_at_ms: number;
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
  lease_hash: string | null;
  /** `parallel`: plain GETs that overlapped. */
  lease_kind: 'claim' | 'implicit' | 'parallel' | null;
  lease_expires_at_ms: number | null;
  lease_readers: number;
  delivered: Ranges;
  served: Ranges;
  grace_until_ms: number | null;
  idempotency_hash: string | null;
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
