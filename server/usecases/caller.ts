import type { Role } from '#sdk/protocol';
import type { AccountId, DeviceId, KeyId, Subject } from '../domain/ids.ts';
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
  /** Address the request came from, for the audit. */
  from: string;
}

export function keyId(caller: Caller): KeyId {
  return caller.key.id;
}

/** How the audit names the caller. */
export function actorOf(caller: Caller): string {
  return caller.via === 'operator' ? 'operator:cli' : `${caller.via}:${caller.key.id}`;
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

/** Throws `role_insufficient` for who may only look. */
export function requireWriter(caller: Caller): void {
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
