import { lesserRole } from '../../domain/auth/roles.ts';
import { fromBase64url, toBase64url, utf8 } from '../../domain/base64url.ts';
import type { KeyId, SessionId, Subject, UserId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { KeyRow, SessionRow, UserRow } from '../../ports/tables.ts';
import { auditOf, type Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newId } from '../new-id.ts';
import { decideAndCommit } from '../store-helpers.ts';

const COOKIE_BYTES = 32;
const TOKEN_PURPOSE = 'tokens';
/** Sessions that are over, cleared away with each new sign-in. */
const CLEARED_AT_ONCE = 20;

/** The key that signs tokens, of one version of the keyring; null where it has none. */
export function tokenKey(deps: Deps, version: number): Uint8Array | null {
  if (!deps.keyring.versions.includes(version)) return null;
  return deps.keyring.mac(TOKEN_PURPOSE, [utf8('signing key')], version);
}

export interface OpenedSession {
  row: SessionRow;
  /** Value of the session cookie. */
  cookie: string;
  /** The same session as a JWT. */
  token: string;
}

/** A new session, and the write that makes it real. */
export async function openSession(
  deps: Deps,
  what: {
    user: UserRow;
    key: KeyRow;
    from: string;
    lifetimeSeconds: number;
    secondFactor: boolean;
    mayCreateKeys?: boolean;
  },
): Promise<{ session: OpenedSession; write: Write }> {
  const nowMs = deps.clock.nowMs();
  const secret = deps.random.bytes(COOKIE_BYTES);
  const row: SessionRow = {
    id: newId(deps, 'ses') as SessionId,
    account_id: what.user.account_id,
    user_id: what.user.id,
    key_id: what.key.id,
    hash: cookieHash(deps, secret),
    second_factor: what.secondFactor,
    may_create_keys: what.mayCreateKeys === true,
    created_at_ms: nowMs,
    expires_at_ms: nowMs + what.lifetimeSeconds * 1000,
    ended_at_ms: null,
    from: what.from,
    version: 1,
  };
  const keyVersion = deps.keyring.current;
  const token = await deps.tokens.sign(
    {
      purpose: 'session',
      subject: row.id,
      userId: row.user_id,
      issuedAtMs: nowMs,
      expiresAtMs: row.expires_at_ms,
    },
    { key: tokenKey(deps, keyVersion) as Uint8Array, keyVersion },
  );
  return {
    session: { row, cookie: toBase64url(secret), token },
    write: { kind: 'insert', table: 'sessions', row },
  };
}

function cookieHash(deps: Deps, secret: Uint8Array): string {
  return toBase64url(deps.crypto.sha256(utf8('session'), secret));
}

/** The live session a cookie or JWT stands for, read from the store. Throws `token_invalid` or `token_expired`. */
export async function findSession(
  deps: Deps,
  credential: { kind: 'session' | 'jwt'; text: string },
): Promise<SessionRow> {
  const row =
    credential.kind === 'session' ? await byCookie(deps, credential.text) : await byToken(deps, credential.text);
  return requireLive(deps, row);
}

/** The session, unless there is none or it is over: throws `token_invalid` or `token_expired`. */
export function requireLive(deps: Deps, row: SessionRow | null): SessionRow {
  if (row === null) throw invalid();
  if (row.ended_at_ms !== null) throw new FuselinkError('token_invalid', 'This session was ended: sign in again.');
  if (row.expires_at_ms <= deps.clock.nowMs()) throw expired();
  return row;
}

async function byCookie(deps: Deps, text: string): Promise<SessionRow | null> {
  const secret = text.length === 43 ? fromBase64url(text) : null;
  return secret === null ? null : deps.store.get('sessions', { hash: cookieHash(deps, secret) });
}

async function byToken(deps: Deps, text: string): Promise<SessionRow | null> {
  const reading = await deps.tokens.read(text, {
    purpose: 'session',
    nowMs: deps.clock.nowMs(),
    keyOf: (version) => tokenKey(deps, version),
  });
  if (reading.ok) return deps.store.get('sessions', { id: reading.claims.subject as SessionId });
  if (reading.reason === 'expired') throw expired();
  return null;
}

function expired(): FuselinkError {
  return new FuselinkError('token_expired', 'This session has ended by itself: sign in again.');
}

function invalid(): FuselinkError {
  return new FuselinkError('token_invalid', 'This session or token is not known here: sign in again.');
}

/**
 * The caller a session stands for, with the user and the key read from the store now: it dies with either, and with
 * the moment a second factor exists where it was made without one.
 */
export async function callerOfSession(
  deps: Deps,
  row: SessionRow,
  options: { via: 'session' | 'jwt'; from: string },
): Promise<Caller> {
  const [user, key, account] = await Promise.all([
    deps.store.get('users', { id: row.user_id }),
    deps.store.get('api_keys', { id: row.key_id }),
    row.second_factor ? null : deps.store.get('accounts', { id: row.account_id }),
  ]);
  if (user === null || key === null) throw invalid();
  if (key.state === 'revoked') {
    throw new FuselinkError('token_invalid', 'The API key this session was made with was revoked: sign in again.');
  }
  if (!row.second_factor && user.totp_state === 'enrolled') {
    throw new FuselinkError('token_invalid', 'A second factor was set up since this sign-in: sign in again.');
  }
  return {
    accountId: row.account_id,
    role: lesserRole(user.role, key.role),
    key,
    deviceId: null,
    subject: key.id as string as Subject,
    via: options.via,
    mayManage: row.second_factor || account?.settings.keys_may_manage === true,
    mayCreateKeys: row.may_create_keys,
    session: {
      id: row.id,
      userId: user.id,
      email: user.email,
      version: row.version,
      expiresAtMs: row.expires_at_ms,
      secondFactor: row.second_factor,
    },
    from: options.from,
  };
}

/** Ends the caller's own session, or every one of the user: cookies and tokens are refused from the next request on. */
export async function signOut(deps: Deps, caller: Caller, options: { everywhere: boolean }): Promise<void> {
  const { session } = caller;
  if (session === undefined) {
    throw new FuselinkError('bad_request', 'Expected a session or token to end, got an API key: it has no session.');
  }
  await decideAndCommit(deps.store, async () => {
    const nowMs = deps.clock.nowMs();
    const row = await deps.store.get('sessions', { id: session.id });
    const own = row === null || row.ended_at_ms !== null ? [] : [endWrite(row, nowMs)];
    const writes = options.everywhere ? await endSessions(deps, session.userId) : own;
    if (writes.length === 0) return { answer: undefined, writes: [] };
    const detail = { sessions: writes.length };
    return {
      answer: undefined,
      writes: [...writes, auditOf(caller, nowMs, { action: 'sign_in.ended', subject: session.id, detail })],
    };
  });
}

function endWrite(row: SessionRow, nowMs: number): Write {
  return {
    kind: 'update',
    table: 'sessions',
    row: { ...row, ended_at_ms: nowMs, version: row.version + 1 },
    expectVersion: row.version,
  };
}

/** The writes that end every live session of a user (but for `except`). */
export async function endSessions(deps: Deps, userId: UserId, except?: SessionId): Promise<Write[]> {
  const nowMs = deps.clock.nowMs();
  const rows = await deps.store.list('sessions', {
    where: [['user_id', '=', userId]],
    orderBy: [
      ['created_at_ms', 'desc'],
      ['id', 'desc'],
    ],
    limit: 1000,
  });
  return rows
    .filter((row) => row.ended_at_ms === null && row.expires_at_ms > nowMs && row.id !== except)
    .map((row) => endWrite(row, nowMs));
}

/** Deletes rows of sessions that are over. Never rejects: the next sign-in tries again. */
export async function clearOldSessions(deps: Deps): Promise<void> {
  try {
    const rows = await deps.store.list('sessions', {
      where: [['expires_at_ms', '<', deps.clock.nowMs() - 86_400_000]],
      orderBy: [['expires_at_ms', 'asc']],
      limit: CLEARED_AT_ONCE,
    });
    for (const row of rows) await deps.store.commit([{ kind: 'delete', table: 'sessions', key: row.id }]);
  } catch (error) {
    deps.warn('old sessions could not be cleared yet', error);
  }
}

/** The id of the key that a half-done sign-in stands on, from the token that `startSecondFactor` gave. */
export async function readHalfDone(deps: Deps, token: string): Promise<{ userId: UserId; keyId: KeyId } | null> {
  const reading = await deps.tokens.read(token, {
    purpose: 'two-factor',
    nowMs: deps.clock.nowMs(),
    keyOf: (version) => tokenKey(deps, version),
  });
  if (!reading.ok) return null;
  return { userId: reading.claims.userId as UserId, keyId: reading.claims.subject as KeyId };
}

const HALF_DONE_MS = 300_000;

/** A token that says: this user gave the right key. Worth nothing without a code; five minutes. */
export async function halfDoneToken(deps: Deps, user: UserRow, key: KeyRow): Promise<string> {
  const nowMs = deps.clock.nowMs();
  const keyVersion = deps.keyring.current;
  return deps.tokens.sign(
    {
      purpose: 'two-factor',
      subject: key.id,
      userId: user.id,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + HALF_DONE_MS,
    },
    { key: tokenKey(deps, keyVersion) as Uint8Array, keyVersion },
  );
}
