import type { BurnRule, TransferState } from '#sdk/protocol';
import type { AccountId, DeviceId, KeyId, Subject, TransferId, UploadId } from '../domain/ids.ts';
import type { TableShape } from './table-shape.ts';

/** Half-open byte ranges `[from, to)`, sorted, disjoint, not touching. */
export type ByteRanges = [from: number, to: number][];

export interface TransferRow {
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
  delivered: ByteRanges;
  /** Ranges ever written to a socket, arrival unproven. */
  served: ByteRanges;
  /** When a complete read behind a proxy counts as delivered for want of a better proof. */
  grace_until_ms: number | null;
  /** HMAC of subject and Idempotency-Key; outlives the burn. */
  idempotency_hash: string | null;
  /** Random salt of the link's token; destroyed at burn. */
  idempotency_salt: Uint8Array | null;
  version: number;
}

export const TRANSFER_TABLES: { transfers: TableShape<TransferRow> } = {
  transfers: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      key_id: 'text',
      device_id: 'text?',
      subject: 'text',
      state: 'text',
      kind: 'text',
      upload_id: 'text?',
      size: 'int?',
      offset: 'int',
      segment_bytes: 'int',
      storage: 'text',
      sealed_meta: 'bytes',
      recipient_index: 'text?',
      end_to_end: 'bool',
      created_at_ms: 'int',
      upload_deadline_ms: 'int?',
      ready_at_ms: 'int?',
      expires_at_ms: 'int',
      claimed_at_ms: 'int?',
      ended_at_ms: 'int?',
      receipt_until_ms: 'int',
      ttl_seconds: 'int',
      receipt_ttl_seconds: 'int',
      burn: 'text',
      require_claim: 'bool',
      attempts_max: 'int',
      lease_seconds: 'int',
      delivered_by: 'text?',
      attempts: 'int',
      attempts_without_progress: 'int',
      bytes_served: 'int',
      held: 'bool',
      lease_hash: 'text?',
      lease_kind: 'text?',
      lease_expires_at_ms: 'int?',
      lease_readers: 'int',
      delivered: 'json',
      served: 'json',
      grace_until_ms: 'int?',
      idempotency_hash: 'text?',
      idempotency_salt: 'bytes?',
      version: 'int',
    },
    unique: [['upload_id'], ['idempotency_hash']],
    indexes: [
      ['account_id', 'created_at_ms', 'id'],
      ['account_id', 'state', 'created_at_ms', 'id'],
      ['device_id', 'created_at_ms', 'id'],
      ['key_id', 'created_at_ms', 'id'],
      ['state', 'expires_at_ms'],
      ['state', 'upload_deadline_ms'],
      ['state', 'grace_until_ms'],
      ['storage', 'state'],
      ['receipt_until_ms'],
    ],
  },
};
