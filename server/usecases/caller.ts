import type { Role } from '#sdk/protocol';
import type { AccountId, DeviceId, KeyId, SessionId, Subject, UserId } from '../domain/ids.ts';
import type { Alarm, KeyUse, Position } from '../domain/rotation/index.ts';
import type { AuditWrite, Write } from '../ports/metadata-store.ts';
import type { KeyRow } from '../ports/tables.ts';
import { FuselinkError } from './error.ts';

/** Who makes a request, after authentication. */
export interface Caller {
  accountId: AccountId;
  role: Role;
  /** The key that signed the request in: directly, or the one its session or token was made with. */
  key: Pick<KeyRow, 'id' | 'kind' | 'state' | 'version' | 'generation' | 'fingerprint'>;
  deviceId: DeviceId | null;
  /** Whom uploads are charged to. */
  subject: Subject;
  via: 'key' | 'session' | 'jwt' | 'operator';
  /** May change keys, users, roles, second factors and campaigns. */
  mayManage: boolean;
  /** May make keys, and nothing else of the above: a dialect's sign-in by password where the operator allows it. */
  mayCreateKeys?: boolean;
  /** The sign-in behind a cookie or JWT. */
  session?: CallerSession;
  /** A device's own key: what this request says of the device, noted in as the request goes on. */
  device?: DeviceContact;
  /** The gateway through which a device's own request came, and how it is known to be the device's: for the audit. */
  vouched?: string;
  /** D of the key that signed the request: what is secret in the answer goes back wrapped under it, or not at all. */
  deviceSecret?: () => Uint8Array;
  /** What the upload limit had counted of the subject when the caller was identified; absent where that was not read. */
  uploadHits?: readonly number[];
  /** Address the request came from, for the audit. */
  from: string;
}

export interface DeviceContact {
  /** `report`: the key is quarantined, and only the device's own calls are open to it. */
  use: KeyUse;
  /** Null where the device does not say. */
  position: Position | null;
  /** The request has moved, or may have moved, the device's rotation. */
  committed: boolean;
  alarms: Alarm[];
}

export interface CallerSession {
  id: SessionId;
  userId: UserId;
  email: string;
  version: number;
  expiresAtMs: number;
  /** A code of the authenticator (or a recovery code) was accepted. */
  secondFactor: boolean;
}

export function keyId(caller: Caller): KeyId {
  return caller.key.id;
}

/** How the audit names the caller. */
export function actorOf(caller: Caller): string {
  if (caller.via === 'operator') return 'operator:cli';
  if (caller.session !== undefined) return `${caller.via}:${caller.session.email}`;
  return caller.vouched === undefined ? `${caller.via}:${caller.key.id}` : `key:${caller.key.id} ${caller.vouched}`;
}

/** One entry of the account's audit chain, to be committed with the change it tells of. */
export function auditOf(
  caller: Caller,
  nowMs: number,
  entry: { action: string; subject: string; outcome?: 'done' | 'refused'; detail?: Record<string, unknown> },
): AuditWrite {
  return {
    kind: 'audit',
    entry: {
      chain: caller.accountId,
      at_ms: nowMs,
      actor: actorOf(caller),
      action: entry.action,
      subject: entry.subject,
      outcome: entry.outcome ?? 'done',
      detail: entry.detail ?? {},
      from: caller.from,
    },
  };
}

/**
 * The write that makes a commit hold only while the caller's key is what it was at authentication: a key revoked
 * while its upload was on the way is refused with the very commit that would have accepted it.
 */
export function whileKeyHolds(caller: Caller): Write[] {
  if (caller.via === 'operator') return [];
  return [{ kind: 'expect', table: 'api_keys', key: caller.key.id, version: caller.key.version }];
}

/** Throws `key_quarantined` for a device whose key is: it may report, learn its state and stage another key. */
export function refuseQuarantined(caller: Caller): void {
  if (caller.device?.use !== 'report') return;
  throw new FuselinkError(
    'key_quarantined',
    `The key with the fingerprint ${caller.key.fingerprint} is quarantined: only /v1/device is open to it. Keep the data.`,
    { fingerprint: caller.key.fingerprint },
  );
}

/** Throws `role_insufficient` for who may only look. */
export function requireWriter(caller: Caller): void {
  refuseQuarantined(caller);
  if (caller.role === 'auditor') {
    throw new FuselinkError(
      'role_insufficient',
      'Expected the role owner or operator, got auditor, who may only look.',
    );
  }
}

/** Throws `management_required` unless the caller passed the second factor (or is the operator at the server). */
export function requireManagement(caller: Caller): void {
  if (caller.mayManage) return;
  throw new FuselinkError(
    'management_required',
    'An API key alone opens no management. Sign in at POST /v1/auth/login with e-mail, API key and authenticator code, or use fuselink-server on the server.',
  );
}

/**
 * Throws unless the caller passed a second factor, or is the operator at the server. For what `keys_may_manage` does
 * not open: users, roles, second factors, and that switch itself.
 */
export function requireSecondFactor(caller: Caller): void {
  if (caller.via === 'operator' || caller.session?.secondFactor === true) return;
  throw new FuselinkError(
    'management_required',
    'This needs a sign-in that passed the second factor: POST /v1/auth/login, or use fuselink-server on the server.',
  );
}

/** Throws `role_insufficient` for everybody but owners. */
export function requireOwner(caller: Caller): void {
  if (caller.role === 'owner') return;
  throw new FuselinkError('role_insufficient', `Expected the role owner, got ${caller.role}.`);
}

/** Throws `role_insufficient` for device and gateway keys: they see their own device, not the account. */
export function requireAccountKey(caller: Caller): void {
  if (caller.key.kind === 'account') return;
  throw new FuselinkError('role_insufficient', `Expected an account key, got a ${caller.key.kind} key.`);
}
