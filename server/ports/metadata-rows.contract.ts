import type { AccountId, DeviceId, KeyId, Subject, TransferId, UploadId } from '../domain/ids.ts';
import type { AuditEntry } from './metadata-store.ts';
import type { BodyRow, DeviceRow, FactRow, KeyRow, TransferRow } from './tables.ts';

/** Rows for the contract suites: whole, valid, and varied only where a test says so. */

export function deviceRow(number: number, over: Partial<DeviceRow> = {}): DeviceRow {
  return {
    id: `device-${number}` as DeviceId,
    account_id: 'account-1' as AccountId,
    name: `sensor ${number}`,
    profile: 'node',
    tags: ['roof'],
    groups: [],
    created_at_ms: 1_000 + number,
    last_seen_at_ms: null,
    version: 1,
    ...over,
  };
}

export function keyRow(number: number, over: Partial<KeyRow> = {}): KeyRow {
  return {
    id: `key-${number}` as KeyId,
    account_id: 'account-1' as AccountId,
    kind: 'device',
    device_id: `device-${number}` as DeviceId,
    name: `key ${number}`,
    prefix: '0123abcd',
    hash: `hash-${number}`,
    fingerprint: '0123456789abcdef',
    role: 'operator',
    state: 'active',
    generation: 1,
    created_at_ms: 1_000 + number,
    last_used_at_ms: null,
    revoked_at_ms: null,
    sealed_device_secret: null,
    version: 1,
    ...over,
  } as KeyRow;
}

export function transferRow(number: number, over: Partial<TransferRow> = {}): TransferRow {
  return {
    id: `transfer-${String(number).padStart(5, '0')}` as TransferId,
    account_id: 'account-1' as AccountId,
    key_id: 'key-1' as KeyId,
    device_id: null,
    subject: 'key-1' as Subject,
    state: 'ready',
    kind: 'one-shot',
    upload_id: null as UploadId | null,
    size: number,
    offset: number,
    segment_bytes: 65_536,
    storage: 'inline',
    sealed_meta: new Uint8Array([number & 0xff, 0, 255]),
    recipient_index: null,
    end_to_end: false,
    created_at_ms: 1_000 + number,
    upload_deadline_ms: null,
    ready_at_ms: 1_000 + number,
    expires_at_ms: 9_000 + number,
    claimed_at_ms: null,
    ended_at_ms: null,
    receipt_until_ms: 99_000,
    ttl_seconds: 86_400,
    receipt_ttl_seconds: 86_400,
    burn: 'on-delivery',
    require_claim: false,
    attempts_max: 5,
    lease_seconds: 60,
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
    idempotency_hash: null,
    idempotency_salt: null,
    version: 1,
    ...over,
  } as TransferRow;
}

export function bodyRow(number: number, bytes: Uint8Array, version = 1): BodyRow {
  return { transfer_id: `transfer-${String(number).padStart(5, '0')}` as TransferId, bytes, version };
}

export function factRow(id: string, value: string, version = 1): FactRow {
  return { id, value, version };
}

export function auditEntry(over: Partial<AuditEntry> = {}): AuditEntry {
  return {
    chain: 'account-1',
    at_ms: 1_000,
    actor: 'key-1',
    action: 'upload',
    subject: 'transfer-1',
    outcome: 'done',
    detail: { size: 3, nested: { z: 1, a: [true, null] } },
    from: '127.0.0.1',
    ...over,
  };
}
