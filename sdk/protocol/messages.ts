/** The JSON bodies of the native API (DESIGN §4.2), as they stand on the wire. Times are RFC 3339 in UTC. */

export type TransferState = 'uploading' | 'ready' | 'claimed' | 'burned' | 'expired' | 'revoked';

/** When a read ends the file: on proof of delivery, or (stricter, less safe) with its first byte. */
export type BurnRule = 'on-delivery' | 'on-first-byte';

/** 201 of an upload. `url` is shown once (and again to a repeat under the same Idempotency-Key). */
export interface UploadAnswer {
  id: string;
  url: string;
  expires_at: string;
  size: number;
  /** SHA-256 of the bytes the server stored, 64 hex characters. Compare it with what you meant to send. */
  sha256: string;
  filename: string;
}

/** One transfer as its account sees it: the receipt, while it lives and after. Never the link. */
export interface TransferAnswer {
  id: string;
  state: TransferState;
  size: number;
  sha256: string | null;
  filename: string;
  recipient: string | null;
  note: string | null;
  content_type: string;
  created_at: string;
  ready_at: string | null;
  expires_at: string;
  claimed_at: string | null;
  /** When the file was burned, revoked or expired. */
  ended_at: string | null;
  /** How delivery was proven: `ack` (digest), `close` (orderly close), `grace`, `first-byte`, or null. */
  delivered_by: string | null;
  attempts: number;
  attempts_max: number;
  bytes_served: number;
  held: boolean;
  burn: BurnRule;
  require_claim: boolean;
  sealed: boolean;
  device_id: string | null;
  key_id: string;
  receipt_until: string;
}

export interface ClaimAnswer {
  claim: string;
  lease_seconds: number;
  lease_expires_at: string;
  filename: string;
  content_type: string;
  size: number;
  sha256: string;
  note: string | null;
  expires_at: string;
  sealed: boolean;
}

export interface KeyAnswer {
  id: string;
  kind: 'account' | 'device' | 'gateway';
  name: string;
  prefix: string;
  fingerprint: string;
  role: Role;
  state: KeyState;
  device_id: string | null;
  created_at: string;
  last_used_at: string | null;
  revoked_at: string | null;
}

/** Answer to a created key: the only time the key itself is on the wire. */
export interface KeyCreatedAnswer extends KeyAnswer {
  key: string;
}

export type KeyState = 'active' | 'pending' | 'retiring' | 'quarantined' | 'revoked';
export type Role = 'owner' | 'operator' | 'auditor';

export interface DeviceAnswer {
  id: string;
  name: string;
  profile: string;
  tags: string[];
  groups: string[];
  created_at: string;
  last_seen_at: string | null;
}

/** Answer to a revoked key: with what was sent with it, so that recipients can be told. */
export interface KeyRevokedAnswer extends KeyAnswer {
  /** The newest 200; `GET /v1/transfers?key=` has the rest. */
  sent: TransferAnswer[];
  sent_total: number;
  /** How many unread transfers were burned with it (`?burn=true`). */
  burned: number;
}

export interface SignInAnswer {
  /** A JWT, for `Authorization: Bearer`. */
  token: string;
  expires_at: string;
  session_id: string;
  account_id: string;
  email: string;
  role: Role;
  recovery_codes_left: number;
}

/** Who a request is from, as the server sees it. */
export interface WhoAnswer {
  account_id: string;
  email: string | null;
  role: Role;
  via: 'key' | 'session' | 'jwt' | 'operator';
  key_id: string;
  device_id: string | null;
  may_manage: boolean;
  session_id: string | null;
  expires_at: string | null;
}

/** What an authenticator is set up with; shown once. */
export interface EnrolmentAnswer {
  totp_uri: string;
  /** The URI as a QR code: an SVG document. */
  totp_qr_svg: string;
  recovery_codes: string[];
}

export interface UserAnswer {
  id: string;
  email: string;
  role: Role;
  second_factor: 'pending' | 'enrolled';
  created_at: string;
  last_sign_in_at: string | null;
}

export interface UserCreatedAnswer extends UserAnswer {
  totp_uri: string;
  recovery_codes: string[];
  setup_secret: string;
}

export interface AccountAnswer {
  id: string;
  email: string;
  created_at: string;
  keys_may_manage: boolean;
  /** Uploads that are not sealed end to end are refused. */
  require_sealed: boolean;
  /** A suspicion that a device's key was copied quarantines the device by itself. */
  alarms_quarantine: boolean;
  /** No rotation mints a key until this is off again. */
  rotations_paused: boolean;
}

/** One entry of the audit chain. */
export interface AuditAnswer {
  seq: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  outcome: 'done' | 'refused';
  detail: Record<string, unknown>;
  from: string;
  prev_hash: string;
  hash: string;
}

export interface AuditVerifyAnswer {
  ok: boolean;
  entries: number;
  /** The newest sound entry: note it down elsewhere, and ask whether it still stands with `?seq=…&hash=…`. */
  head: { seq: number; hash: string } | null;
  /** The first entry that does not hold, and why. */
  broken: { seq: number; reason: string } | null;
}

export interface AccountCreatedAnswer {
  account_id: string;
  email: string;
  api_key: string;
  totp_uri: string;
  recovery_codes: string[];
  setup_secret: string;
}

/** A key that was replaced: what people who noted its fingerprint should know. */
export interface EarlierKey {
  /** 64 hex characters. */
  fingerprint: string;
  /** Until when it was the key. */
  until: string;
}

export interface KeyAlarm {
  since: string;
}

/** A public key on file, with its fingerprint in hex (all 32 bytes) and in words people can compare. */
export interface KeyOnFile {
  algorithm: string;
  /** `fuselink_pub1_…` or `fuselink_verify1_…` (sdk/SPEC.md §2.2). */
  public_key: string;
  fingerprint: string;
  fingerprint_words: string;
  created_at: string;
  /** The key is another one than before, and nobody has confirmed it yet: compare the words before you rely on it. */
  alarm: KeyAlarm | null;
  /** Newest first. */
  earlier_keys: EarlierKey[];
}

/** Somebody files can be sealed to. */
export interface RecipientAnswer extends KeyOnFile {
  id: string;
  email: string;
}

/** The key with which a device signs what it seals. */
export interface SigningKeyAnswer extends KeyOnFile {
  device_id: string;
  device_name: string;
}

/** What a device is told of itself: `GET /v1/device`, and the answer to a status report. */
export interface DeviceSelfAnswer {
  device_id: string;
  name: string;
  /** The key this very request was made with. */
  key: OwnKey;
  rotation: OwnRotation;
  limits: DeviceLimits;
  server_time: string;
}

export interface OwnKey {
  fingerprint: string;
  state: KeyState;
}

/** A device's rotation as it is told of it. */
export interface OwnRotation {
  state: string;
  generation: number;
  wanted: { generation: number; base: string; source: 'self' | 'offer' | 'manual'; recovery: boolean } | null;
  settled_generation: number | null;
  recoverable_generation: number | null;
}

export interface DeviceLimits {
  uploads: number;
  upload_window_seconds: number;
  status_reports: number;
  file_bytes_max: number;
}

/** Answer to the registration of a staged key. */
export interface RegistrationAnswer {
  generation: number;
  fingerprint: string;
  /** `awaits-approval`: the device is quarantined, and an operator has to approve this fingerprint. */
  state: 'registered' | 'awaits-approval';
}

/** How the key of a device stands, for people. */
export interface RotationAnswer {
  device_id: string;
  state: string;
  generation: number;
  source: 'self' | 'offer' | 'manual';
  active: string | null;
  pending: string | null;
  retiring: string | null;
  incident: boolean;
  campaign_id: string | null;
  deadline_at: string | null;
  pending_expires_at: string | null;
  soak_until: string | null;
  /** Keys that a quarantined device has staged, each waiting for an operator's word. */
  proposals: ProposedKey[];
  /** What the device last said of itself. */
  reported: ReportedStatus | null;
  limbo_since: string | null;
  /** The gateway that holds the key of a device that cannot; only where one device is looked at. */
  key_held_by?: string | null;
}

export interface ProposedKey {
  generation: number;
  fingerprint: string;
}

export interface ReportedStatus {
  at: string;
  phase: string;
  boot: number;
  sequence: number;
}

export interface StoryEvent {
  at: string;
  seq: number;
  action: string;
  sentence: string;
}

/** A rotation campaign as its account sees it. Times of its rules in seconds. */
export interface CampaignAnswer {
  id: string;
  name: string;
  /** What it brings to its devices: `keys` or `firmware`. */
  kind: string;
  state: string;
  /** Why it is paused. */
  reason: string | null;
  wave: number;
  selection: Record<string, unknown>;
  source: string;
  policy: string;
  starts_at: string | null;
  since: string;
  repeat_every_days: number | null;
  created_at: string;
  created_by: string;
  progress: CampaignProgress;
}

/** `waiting` for its wave, `open` since it was asked; the rest are ends. */
export type CampaignMemberOutcome = 'waiting' | 'open' | 'done' | 'error' | 'skipped';

export interface CampaignProgress {
  waiting: number;
  open: number;
  contacted: number;
  done: number;
  errors: number;
  limbo: number;
}

/** What a campaign would do, before it does it. */
export interface CampaignPreflight {
  devices: number;
  waves: number[];
  /** Who would be asked first. */
  canary: string[];
  /** If every device answers at once; what sleeps takes longer. */
  seconds_min: number;
  /** Not heard for a day. */
  offline: string[];
  offline_total: number;
  /** Rotations that are under way already: these devices are left out. */
  busy_total: number;
  /** Without a recovery secret only an operator can help these out of trouble. */
  without_recovery_total: number;
  /** Whom the deadline's policy would lock out, if nobody is heard sooner than in the past. */
  locked_out: string[];
  locked_out_total: number;
  /** Every device may make as many reports a minute as a rotation needs. */
  within_caps: boolean;
}

/** How a device's key came to be as it is: one sentence an event, oldest first. */
export interface StoryAnswer {
  device_id: string;
  name: string;
  now: string;
  events: StoryEvent[];
}
