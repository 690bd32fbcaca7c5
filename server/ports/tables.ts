import type { BurnRule, KeyState, Role, TransferState } from '#sdk/protocol';
import type {
  AccountId,
  DeviceId,
  KeyId,
  RecipientId,
  SessionId,
  Subject,
  TransferId,
  UploadId,
  UserId,
} from '../domain/ids.ts';

/**
 * What the metadata store keeps, as data: one definition from which each adapter derives its DDL, statements and
 * row mapping. Times are Unix milliseconds; `json` columns hold plain JSON values; `bytes` are Uint8Array.
 * Every row has `version`: updates are compare-and-set on it.
 */
export type ColumnKind = 'text' | 'int' | 'bool' | 'bytes' | 'json' | 'text?' | 'int?' | 'bool?' | 'bytes?' | 'json?';

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

/** Somebody who signs in to an account. */
export interface UserRow {
  id: UserId;
  account_id: AccountId;
  email: string;
  role: Role;
  /** `pending` until the first code of the authenticator (or recovery code) was accepted. */
  totp_state: 'pending' | 'enrolled';
  /** 20 bytes, sealed under FUSELINK_SECRET. */
  totp_seed: Uint8Array;
  /** The seed of an authenticator that is to replace the present one, sealed; until its first code. */
  totp_next: Uint8Array | null;
  /** The time step of the last code accepted: a code counts only for a later one. */
  totp_last_step: number;
  /** base64url(SHA-256(setup secret)); null once enrolment is done. */
  setup_hash: string | null;
  created_at_ms: number;
  enrolled_at_ms: number | null;
  last_sign_in_at_ms: number | null;
  version: number;
}

/** One sign-in: what its cookie and its JWT stand for. */
export interface SessionRow {
  id: SessionId;
  account_id: AccountId;
  user_id: UserId;
  /** The key that signed in: the session dies with it. */
  key_id: KeyId;
  /** base64url(SHA-256(cookie value)). */
  hash: string;
  second_factor: boolean;
  /** A sign-in by password alone, where the operator allows it: it may make keys, and manage nothing else. */
  may_create_keys: boolean;
  created_at_ms: number;
  expires_at_ms: number;
  ended_at_ms: number | null;
  from: string;
  version: number;
}

/** A recovery code, by its hash; used once. */
export interface RecoveryCodeRow {
  /** base64url(SHA-256(user id ‖ code)). */
  id: string;
  user_id: UserId;
  created_at_ms: number;
  used_at_ms: number | null;
  version: number;
}

/** Failures that make the next sign-in attempt wait (domain/auth/waits.ts). */
export interface SignInAttemptRow {
  id: string;
  failures: number;
  wait_until_ms: number;
  at_ms: number;
  version: number;
}

/** The whole number by which a dialect names something that has a text id here. */
export interface NumberRow {
  /** The number, in decimal. */
  id: string;
  account_id: AccountId;
  kind: 'account' | 'key' | 'group';
  /** Id of the key or account, name of the group. */
  subject: string;
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

export interface Tables {
  accounts: AccountRow;
  api_keys: KeyRow;
  devices: DeviceRow;
  transfers: TransferRow;
  bodies: BodyRow;
  windows: WindowRow;
  audit: AuditRow;
  facts: FactRow;
  users: UserRow;
  sessions: SessionRow;
  recovery_codes: RecoveryCodeRow;
  sign_in_attempts: SignInAttemptRow;
  numbers: NumberRow;
  recipients: RecipientRow;
  signing_keys: SigningKeyRow;
}
export type TableName = keyof Tables;

export interface TableShape<Row> {
  /** The primary key column. */
  key: keyof Row & string;
  columns: { [C in keyof Row & string]-?: ColumnKind };
  /** Columns (alone or together) that no two rows may share; rows with a null in them are exempt. */
  unique: readonly (readonly (keyof Row & string)[])[];
  /** What queries filter and order by. */
  indexes: readonly (readonly (keyof Row & string)[])[];
  /**
   * Columns that `touch` raises. `update` and `put` never lower or clear them, so that a row loaded before a touch
   * and stored after it does not undo the touch.
   */
  rising?: readonly (keyof Row & string)[];
}

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
      version: 'int',
    },
    unique: [['hash']],
    indexes: [
      ['account_id', 'created_at_ms', 'id'],
      ['device_id', 'state'],
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
    indexes: [],
  },
  facts: {
    key: 'id',
    columns: { id: 'text', value: 'text', version: 'int' },
    unique: [],
    indexes: [],
  },
  users: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      email: 'text',
      role: 'text',
      totp_state: 'text',
      totp_seed: 'bytes',
      totp_next: 'bytes?',
      totp_last_step: 'int',
      setup_hash: 'text?',
      created_at_ms: 'int',
      enrolled_at_ms: 'int?',
      last_sign_in_at_ms: 'int?',
      version: 'int',
    },
    unique: [['email']],
    indexes: [['account_id', 'created_at_ms', 'id']],
  },
  sessions: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      user_id: 'text',
      key_id: 'text',
      hash: 'text',
      second_factor: 'bool',
      may_create_keys: 'bool',
      created_at_ms: 'int',
      expires_at_ms: 'int',
      ended_at_ms: 'int?',
      from: 'text',
      version: 'int',
    },
    unique: [['hash']],
    indexes: [['user_id', 'created_at_ms', 'id'], ['expires_at_ms']],
  },
  recovery_codes: {
    key: 'id',
    columns: { id: 'text', user_id: 'text', created_at_ms: 'int', used_at_ms: 'int?', version: 'int' },
    unique: [],
    indexes: [['user_id', 'id']],
  },
  sign_in_attempts: {
    key: 'id',
    columns: { id: 'text', failures: 'int', wait_until_ms: 'int', at_ms: 'int', version: 'int' },
    unique: [],
    indexes: [['at_ms']],
  },
  numbers: {
    key: 'id',
    columns: { id: 'text', account_id: 'text', kind: 'text', subject: 'text', version: 'int' },
    unique: [['account_id', 'kind', 'subject']],
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
};
