import type { KeyState, Role } from '#sdk/protocol';
import type { AccountId, DeviceId, KeyId, RecipientId, TransferId } from '../domain/ids.ts';
import { CAMPAIGN_TABLES, type CampaignTables } from './campaign-tables.ts';
import { FIRMWARE_TABLES, type FirmwareTables } from './firmware-tables.ts';
import { GATEWAY_TABLES, type GatewayTables } from './gateway-tables.ts';
import { NONCE_TABLES, type NonceTables } from './nonce-tables.ts';
import { ROTATION_TABLES, type RotationTables } from './rotation-tables.ts';
import { SIGN_IN_TABLES, type SignInTables } from './sign-in-tables.ts';
import type { TableShape } from './table-shape.ts';
import { TRANSFER_TABLES, type TransferRow } from './transfer-tables.ts';
import { WEBHOOK_TABLES, type WebhookTables } from './webhook-tables.ts';

export type * from './campaign-tables.ts';
export type * from './firmware-tables.ts';
export type * from './gateway-tables.ts';
export type * from './nonce-tables.ts';
export type * from './rotation-tables.ts';
export type * from './sign-in-tables.ts';
export type * from './table-shape.ts';
export type { TransferRow } from './transfer-tables.ts';
export type * from './webhook-tables.ts';

export interface AccountRow {
  id: AccountId;
  email: string;
  created_at_ms: number;
  /** JSON of per-account switches, e.g. `{ keys_may_manage: false }`. */
  settings: AccountSettings;
  version: number;
}

export interface AccountSettings {
  keys_may_manage?: boolean;
  /** Bytes this account may have stored at once; absent: no quota. */
  quota_bytes?: number;
  /** Uploads that are not sealed end to end are refused. */
  require_sealed?: boolean;
  /** A suspicion that a device's key was copied quarantines the device by itself. */
  alarms_quarantine?: boolean;
  /** No rotation of any device mints a key: everything that moves keys stands still, and nothing is lost. */
  rotations_paused?: boolean;
}

export interface KeyRow {
  id: KeyId;
  account_id: AccountId;
  kind: 'account' | 'device' | 'gateway';
  device_id: DeviceId | null;
  name: string;
  /** First 8 characters as shown. */
  prefix: string;
  /** base64url(SHA-256(key bytes)): the only trace of the key. */
  hash: string;
  /** 16 hex characters. */
  fingerprint: string;
  role: Role;
  state: KeyState;
  generation: number;
  created_at_ms: number;
  last_used_at_ms: number | null;
  revoked_at_ms: number | null;
  /**
   * D = HMAC-SHA-256(key, "fuselink device v1"), sealed under FUSELINK_SECRET: what offers are wrapped and requests signed
   * with. Device keys only, from when they are minted or first seen.
   */
  sealed_device_secret: Uint8Array | null;
  version: number;
}

export interface DeviceRow {
  id: DeviceId;
  account_id: AccountId;
  name: string;
  profile: string;
  tags: string[];
  groups: string[];
  created_at_ms: number;
  last_seen_at_ms: number | null;
  version: number;
}

/** Sealed bytes of small files, and the sealed partial last segment of an unfinished resumable upload. */
export interface BodyRow {
  transfer_id: TransferId;
  bytes: Uint8Array;
  version: number;
}

/** Times (Unix ms) of what a subject had accepted within the current window. */
export interface WindowRow {
  id: string;
  hits: number[];
  version: number;
}

/** One link of an account's hash chain (see domain/audit-chain.ts). `seq` starts at 1 within each `chain`. */
export interface AuditRow {
  /** `<chain>/<seq>`. */
  id: string;
  chain: string;
  seq: number;
  at_ms: number;
  actor: string;
  action: string;
  subject: string;
  outcome: 'done' | 'refused';
  detail: Record<string, unknown>;
  from: string;
  prev_hash: string;
  hash: string;
  version: number;
}

/** Facts about the installation: schema version, rotation epoch, key check value. */
export interface FactRow {
  id: string;
  value: string;
  version: number;
}

/** A key that was replaced, and when. */
export interface EarlierKeyRow {
  /** 64 hex characters. */
  fingerprint: string;
  until_ms: number;
}

/** Somebody files can be sealed to. Removed ones stay: a key that comes back as another one must be told. */
export interface RecipientRow {
  id: RecipientId;
  account_id: AccountId;
  /** Keyed blind index of the address. */
  email_index: string;
  /** The address, sealed under FUSELINK_SECRET. */
  sealed_email: Uint8Array;
  /** `fuselink_pub1_…` */
  public_key: string;
  fingerprint: string;
  /** Newest first. */
  earlier_keys: EarlierKeyRow[];
  /** Since when the key is another one than before without anybody having confirmed it. */
  alarm_since_ms: number | null;
  created_at_ms: number;
  removed_at_ms: number | null;
  version: number;
}

/** The key with which a device signs what it seals. Removed ones stay, as those of recipients do. */
export interface SigningKeyRow {
  device_id: DeviceId;
  account_id: AccountId;
  /** `fuselink_verify1_…` */
  public_key: string;
  fingerprint: string;
  earlier_keys: EarlierKeyRow[];
  alarm_since_ms: number | null;
  created_at_ms: number;
  removed_at_ms: number | null;
  version: number;
}

export interface Tables
  extends GatewayTables,
    FirmwareTables,
    SignInTables,
    RotationTables,
    CampaignTables,
    NonceTables,
    WebhookTables {
  accounts: AccountRow;
  api_keys: KeyRow;
  devices: DeviceRow;
  transfers: TransferRow;
  bodies: BodyRow;
  windows: WindowRow;
  audit: AuditRow;
  facts: FactRow;
  recipients: RecipientRow;
  signing_keys: SigningKeyRow;
}
export type TableName = keyof Tables;

export const TABLES: { readonly [T in TableName]: TableShape<Tables[T]> } = {
  accounts: {
    key: 'id',
    columns: { id: 'text', email: 'text', created_at_ms: 'int', settings: 'json', version: 'int' },
    unique: [['email']],
    indexes: [],
  },
  api_keys: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      kind: 'text',
      device_id: 'text?',
      name: 'text',
      prefix: 'text',
      hash: 'text',
      fingerprint: 'text',
      role: 'text',
      state: 'text',
      generation: 'int',
      created_at_ms: 'int',
      last_used_at_ms: 'int?',
      revoked_at_ms: 'int?',
      sealed_device_secret: 'bytes?',
      version: 'int',
    },
    unique: [['hash']],
    indexes: [
      ['account_id', 'created_at_ms', 'id'],
      ['device_id', 'state'],
      ['device_id', 'fingerprint'],
    ],
    rising: ['last_used_at_ms'],
  },
  devices: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      name: 'text',
      profile: 'text',
      tags: 'json',
      groups: 'json',
      created_at_ms: 'int',
      last_seen_at_ms: 'int?',
      version: 'int',
    },
    unique: [['account_id', 'name']],
    indexes: [['account_id', 'created_at_ms', 'id']],
    rising: ['last_seen_at_ms'],
  },
  bodies: {
    key: 'transfer_id',
    columns: { transfer_id: 'text', bytes: 'bytes', version: 'int' },
    unique: [],
    indexes: [],
  },
  windows: {
    key: 'id',
    columns: { id: 'text', hits: 'json', version: 'int' },
    unique: [],
    indexes: [],
  },
  audit: {
    key: 'id',
    columns: {
      id: 'text',
      chain: 'text',
      seq: 'int',
      at_ms: 'int',
      actor: 'text',
      action: 'text',
      subject: 'text',
      outcome: 'text',
      detail: 'json',
      from: 'text',
      prev_hash: 'text',
      hash: 'text',
      version: 'int',
    },
    unique: [['chain', 'seq']],
    indexes: [['chain', 'subject', 'seq']],
  },
  facts: {
    key: 'id',
    columns: { id: 'text', value: 'text', version: 'int' },
    unique: [],
    indexes: [],
  },
  recipients: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      email_index: 'text',
      sealed_email: 'bytes',
      public_key: 'text',
      fingerprint: 'text',
      earlier_keys: 'json',
      alarm_since_ms: 'int?',
      created_at_ms: 'int',
      removed_at_ms: 'int?',
      version: 'int',
    },
    unique: [['account_id', 'email_index']],
    indexes: [['account_id', 'removed_at_ms', 'created_at_ms', 'id']],
  },
  signing_keys: {
    key: 'device_id',
    columns: {
      device_id: 'text',
      account_id: 'text',
      public_key: 'text',
      fingerprint: 'text',
      earlier_keys: 'json',
      alarm_since_ms: 'int?',
      created_at_ms: 'int',
      removed_at_ms: 'int?',
      version: 'int',
    },
    unique: [],
    indexes: [['account_id', 'removed_at_ms', 'created_at_ms', 'device_id']],
  },
  ...SIGN_IN_TABLES,
  ...GATEWAY_TABLES,
  ...FIRMWARE_TABLES,
  ...TRANSFER_TABLES,
  ...ROTATION_TABLES,
  ...CAMPAIGN_TABLES,
  ...WEBHOOK_TABLES,
  ...NONCE_TABLES,
};
