import { SESSION_SECONDS, SESSION_SECONDS_PARADARUM } from '#sdk/protocol';
import { keyBytesOf } from '../../domain/credential/api-key.ts';
import type { AuditWrite, Write } from '../../ports/metadata-store.ts';
import type { KeyRow, RecoveryCodeRow, UserRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { hashOfKey } from '../key/mint-key.ts';
import { decideAndCommit } from '../store-helpers.ts';
import {
  addressCounter,
  clearOldAttempts,
  codeCounter,
  failureWrite,
  refuseWhileWaiting,
  successWrites,
} from './attempts.ts';
import { judgeCode, recoveryCodeId, recoveryCodesOf } from './second-factor.ts';
import { clearOldSessions, halfDoneToken, type OpenedSession, openSession, readHalfDone } from './sessions.ts';

/** Refused sign-ins of one account that are written to its audit in an hour: a stranger must not be able to fill it. */
const REFUSALS_AUDITED_PER_HOUR = 60;
const HOUR_MS = 3_600_000;

export interface Password {
  email: string;
  apiKey: string;
  /** Address the request came from. */
  from: string;
}

export interface SignedIn {
  session: OpenedSession;
  user: UserRow;
  key: KeyRow;
  recoveryCodesLeft: number;
}

/** The second half of a sign-in: six digits, or a recovery code. */
export interface Code {
  totp?: string | undefined;
  recoveryCode?: string | undefined;
}

/**
 * Signs a person in: e-mail, API key, and a code of the authenticator or a recovery code. The first code accepted
 * completes the set-up of the authenticator. Throws `sign_in_failed`, `totp_required`, `key_revoked` or
 * `sign_in_limit_exceeded`.
 */
export async function signIn(deps: Deps, password: Password, code: Code): Promise<SignedIn> {
  const { user, key } = await checkPassword(deps, password);
  return acceptCode(deps, { user, key }, code, { from: password.from, lifetimeSeconds: SESSION_SECONDS });
}

/** What the first step of a two-step login leads to. */
export type FirstStep = { kind: 'signed-in'; signedIn: SignedIn } | { kind: 'code-needed'; token: string };

/**
 * The first step of a sign-in in two: e-mail and API key. A code is asked for next, unless the account lets its keys
 * manage anyway and has no second factor yet.
 */
export async function signInFirstStep(deps: Deps, password: Password): Promise<FirstStep> {
  const { user, key } = await checkPassword(deps, password);
  const account = await deps.store.get('accounts', { id: user.account_id });
  if (account?.settings.keys_may_manage === true && user.totp_state !== 'enrolled') {
    return { kind: 'signed-in', signedIn: await withoutCode(deps, { user, key }, password.from, false) };
  }
  return { kind: 'code-needed', token: await halfDoneToken(deps, user, key) };
}

/** The second step: the token of the first, and a code of either kind. */
export async function signInSecondStep(
  deps: Deps,
  what: { token: string; code: string; from: string },
): Promise<SignedIn> {
  const half = await readHalfDone(deps, what.token);
  const user = half === null ? null : await deps.store.get('users', { id: half.userId });
  const key = half === null ? null : await deps.store.get('api_keys', { id: half.keyId });
  if (user === null || key === null || key.state === 'revoked') {
    throw new FuselinkError('token_invalid', 'The two-factor token is not valid (any more): log in again.');
  }
  const isTotp = /^[\d\s-]{6,8}$/.test(what.code);
  const code = isTotp ? { totp: what.code } : { recoveryCode: what.code };
  return acceptCode(deps, { user, key }, code, { from: what.from, lifetimeSeconds: SESSION_SECONDS_PARADARUM });
}

/**
 * A sign-in by e-mail and API key alone, for uploads, lists and key creation. Only before a second factor is set up,
 * and only where the operator allows it.
 */
export async function signInByPassword(deps: Deps, password: Password): Promise<SignedIn> {
  const { user, key } = await checkPassword(deps, password);
  if (user.totp_state === 'enrolled') {
    throw new FuselinkError(
      'password_sign_in_refused',
      'Two-factor is set up for this user, and this login has no place for a code: use an API key in the Authorization header instead.',
    );
  }
  if (!deps.settings.dialectPasswordLogin) {
    throw new FuselinkError(
      'password_sign_in_refused',
      'A login without a second factor is off on this server (FUSELINK_DIALECT_PASSWORD_LOGIN): use an API key in the Authorization header instead.',
    );
  }
  return withoutCode(deps, { user, key }, password.from, true);
}

/** The user and the key, where both are right and belong together. */
export async function checkPassword(deps: Deps, password: Password): Promise<{ user: UserRow; key: KeyRow }> {
  const bytes = keyBytesOf(password.apiKey.trim());
  const [user, key] = await Promise.all([
    deps.store.get('users', { email: password.email.trim().toLowerCase() }),
    bytes === null ? null : deps.store.get('api_keys', { hash: hashOfKey(deps.crypto, bytes) }),
  ]);
  if (user !== null && key !== null && key.account_id === user.account_id && key.kind === 'account') {
    if (key.state !== 'revoked') return { user, key };
    throw new FuselinkError('key_revoked', `The API key with the fingerprint ${key.fingerprint} was revoked.`, {
      fingerprint: key.fingerprint,
    });
  }
  const counter = addressCounter(password.from);
  await decideAndCommit(deps.store, async () => {
    const before = await refuseWhileWaiting(deps, counter);
    return { answer: undefined, writes: [failureWrite(counter, before, deps.clock.nowMs())] };
  });
  if (user !== null) await auditRefusal(deps, user, password.from, 'the API key');
  await clearOldAttempts(deps);
  throw new FuselinkError(
    'sign_in_failed',
    'Expected the e-mail of a user and an account key of the same account, got another pair.',
  );
}

interface CodeOptions {
  from: string;
  lifetimeSeconds: number;
}

async function acceptCode(
  deps: Deps,
  who: { user: UserRow; key: KeyRow },
  code: Code,
  options: CodeOptions,
): Promise<SignedIn> {
  const { user } = who;
  if ((code.totp === undefined) === (code.recoveryCode === undefined)) {
    throw code.totp === undefined
      ? new FuselinkError('totp_required', describeNeeded(user))
      : new FuselinkError('invalid_field', 'Expected either totp or recovery_code, got both.');
  }
  let refused: FuselinkError | null = null;
  const signedIn = await decideAndCommit<SignedIn | null>(deps.store, async () => {
    refused = null;
    const now = await deps.store.get('users', { id: user.id });
    const key = await deps.store.get('api_keys', { id: who.key.id });
    if (now === null || key === null || key.state === 'revoked') {
      throw new FuselinkError('sign_in_failed', 'The user or the key was removed meanwhile.');
    }
    const nowMs = deps.clock.nowMs();
    const counter = await codeCounter(deps, user.id, options.from);
    const checked =
      code.totp === undefined
        ? await byRecoveryCode(deps, now, code.recoveryCode ?? '')
        : await byTotp(deps, now, code.totp, counter);
    if (checked.kind === 'refused') {
      refused = checked.error;
      return { answer: null, writes: checked.writes };
    }
    const { session, write } = await openSession(deps, { ...options, user: now, key, secondFactor: true });
    const enrolling = now.totp_state === 'pending';
    const next: UserRow = {
      ...checked.user,
      totp_state: 'enrolled',
      setup_hash: null,
      enrolled_at_ms: now.enrolled_at_ms ?? nowMs,
      last_sign_in_at_ms: nowMs,
      version: now.version + 1,
    };
    const left = (await recoveryCodesOf(deps, user.id)).filter((row) => row.used_at_ms === null).length;
    const about = { user: now, nowMs, from: options.from };
    return {
      answer: { session, user: next, key, recoveryCodesLeft: left - (checked.used === null ? 0 : 1) },
      writes: [
        // Its version makes every code count once, however many requests bring it at the same moment, on any node.
        { kind: 'update', table: 'users', row: next, expectVersion: now.version },
        { kind: 'expect', table: 'api_keys', key: key.id, version: key.version },
        ...checked.writes,
        write,
        ...successWrites(counter, { userId: user.id, from: options.from, nowMs }),
        ...(enrolling ? [userAudit(about, 'second_factor.enrolled', user.id, {})] : []),
        userAudit(about, 'sign_in.accepted', session.row.id, {
          by: checked.used === null ? 'totp' : 'recovery_code',
          key: key.fingerprint,
        }),
      ],
    };
  });
  if (signedIn !== null) {
    await clearOldSessions(deps);
    return signedIn;
  }
  await auditRefusal(deps, user, options.from, code.totp === undefined ? 'the recovery code' : 'the code');
  throw refused ?? new FuselinkError('sign_in_failed');
}

type Checked =
  | { kind: 'accepted'; user: UserRow; used: RecoveryCodeRow | null; writes: Write[] }
  | { kind: 'refused'; error: FuselinkError; writes: Write[] };

async function byTotp(deps: Deps, user: UserRow, code: string, counter: string): Promise<Checked> {
  const before = await refuseWhileWaiting(deps, counter);
  const verdict = judgeCode(deps, user, code, user.totp_seed);
  if (verdict.kind === 'accepted') {
    return { kind: 'accepted', user: { ...user, totp_last_step: verdict.step }, used: null, writes: [] };
  }
  const detail =
    verdict.kind === 'used'
      ? 'This code was already used: wait for the next one.'
      : 'Expected the six digits the authenticator shows now, got others.';
  return {
    kind: 'refused',
    error: new FuselinkError('sign_in_failed', detail),
    writes: verdict.kind === 'used' ? [] : [failureWrite(counter, before, deps.clock.nowMs())],
  };
}

async function byRecoveryCode(deps: Deps, user: UserRow, text: string): Promise<Checked> {
  const id = recoveryCodeId(deps, user.id, text);
  const row = id === null ? null : await deps.store.get('recovery_codes', { id });
  if (row === null || row.used_at_ms !== null) {
    const detail =
      row === null
        ? 'Expected one of the recovery codes, got another text.'
        : 'This recovery code was already used: each works once.';
    return { kind: 'refused', error: new FuselinkError('sign_in_failed', detail), writes: [] };
  }
  const used = { ...row, used_at_ms: deps.clock.nowMs(), version: row.version + 1 };
  return {
    kind: 'accepted',
    user,
    used,
    writes: [{ kind: 'update', table: 'recovery_codes', row: used, expectVersion: row.version }],
  };
}

async function withoutCode(
  deps: Deps,
  { user, key }: { user: UserRow; key: KeyRow },
  from: string,
  mayCreateKeys: boolean,
): Promise<SignedIn> {
  const { session, write } = await openSession(deps, {
    user,
    key,
    from,
    lifetimeSeconds: SESSION_SECONDS_PARADARUM,
    secondFactor: false,
    mayCreateKeys,
  });
  const nowMs = deps.clock.nowMs();
  const outcome = await deps.store.commit([
    // Holds only while no second factor exists and the key stands.
    { kind: 'expect', table: 'users', key: user.id, version: user.version },
    { kind: 'expect', table: 'api_keys', key: key.id, version: key.version },
    write,
    userAudit({ user, nowMs, from }, 'sign_in.accepted', session.row.id, { by: 'password', key: key.fingerprint }),
  ]);
  if (!outcome.ok) throw new FuselinkError('conflict', 'The user or the key has changed meanwhile: try again.');
  await clearOldSessions(deps);
  return { session, user, key, recoveryCodesLeft: 0 };
}

function describeNeeded(user: UserRow): string {
  return user.totp_state === 'enrolled'
    ? 'Expected totp (six digits of the authenticator) or recovery_code beside e-mail and API key, got neither.'
    : 'Expected totp beside e-mail and API key: the first code accepted completes the set-up. Without an authenticator yet: POST /v1/auth/totp/enrol with the setup secret.';
}

function userAudit(
  about: { user: UserRow; nowMs: number; from: string },
  action: string,
  subject: string,
  detail: Record<string, unknown>,
  outcome: 'done' | 'refused' = 'done',
): AuditWrite {
  return {
    kind: 'audit',
    entry: {
      chain: about.user.account_id,
      at_ms: about.nowMs,
      actor: `user:${about.user.email}`,
      action,
      subject,
      outcome,
      detail,
      from: about.from,
    },
  };
}

/** Writes a refused sign-in down, at most so many an hour. */
async function auditRefusal(deps: Deps, user: UserRow, from: string, wrong: string): Promise<void> {
  const nowMs = deps.clock.nowMs();
  await deps.store.commit([
    {
      kind: 'take',
      id: `refused sign-ins ${user.account_id}`,
      atMs: nowMs,
      windowMs: HOUR_MS,
      max: REFUSALS_AUDITED_PER_HOUR,
    },
    userAudit({ user, nowMs, from }, 'sign_in.refused', user.id, { wrong }, 'refused'),
  ]);
}
