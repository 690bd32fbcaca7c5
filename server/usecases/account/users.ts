import { ACCOUNT_USERS_MAX, type Role, type UserAnswer } from '#sdk/protocol';
import type { UserId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { UserRow } from '../../ports/tables.ts';
import { newSeed, newSetupSecret, recoveryCodesOf, replaceRecoveryCodes } from '../auth/second-factor.ts';
import { endSessions } from '../auth/sessions.ts';
import { auditOf, type Caller, requireAccountKey, requireOwner, requireSecondFactor } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newestFirst, type PageQuery } from '../paging.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { checkEmail, type NewUser, newUser } from './new-user.ts';

export function userAnswer(row: UserRow): UserAnswer {
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    second_factor: row.totp_state,
    created_at: new Date(row.created_at_ms).toISOString(),
    last_sign_in_at: row.last_sign_in_at_ms === null ? null : new Date(row.last_sign_in_at_ms).toISOString(),
  };
}

/** A page of the account's users, newest first. */
export async function listUsers(
  deps: Deps,
  caller: Caller,
  query: PageQuery,
): Promise<{ users: UserAnswer[]; next_cursor: string | null }> {
  requireAccountKey(caller);
  const page = await newestFirst(deps.store, 'users', [['account_id', '=', caller.accountId]], query);
  return { users: page.rows.map(userAnswer), next_cursor: page.next_cursor };
}

/** One more person who signs in to the account. What is shown once is in the answer. */
export async function addUser(deps: Deps, caller: Caller, what: { email: string; role: Role }): Promise<NewUser> {
  requireSecondFactor(caller);
  requireOwner(caller);
  const email = checkEmail(what.email);
  return decideAndCommit(deps.store, async () => {
    const account = await deps.store.get('accounts', { id: caller.accountId });
    if (account === null) throw new FuselinkError('not_found', 'There is no such account.');
    const taken = await deps.store.get('users', { email });
    if (taken !== null) throw new FuselinkError('conflict', 'email: somebody signs in with this address already.');
    const { rows } = await deps.store.count('users', { where: [['account_id', '=', caller.accountId]] });
    if (rows >= ACCOUNT_USERS_MAX) {
      throw new FuselinkError('conflict', `Expected at most ${ACCOUNT_USERS_MAX} users in an account, got one more.`);
    }
    const user = newUser(deps, { accountId: caller.accountId, email, role: what.role });
    return {
      answer: user,
      writes: [
        ...user.writes,
        {
          kind: 'update',
          table: 'accounts',
          row: { ...account, version: account.version + 1 },
          expectVersion: account.version,
        },
        auditOf(caller, deps.clock.nowMs(), {
          action: 'user.added',
          subject: user.row.id,
          detail: { email, role: what.role },
        }),
      ],
    };
  });
}

/** Another role for a user, from the very next request on. The last owner stays one. */
export async function changeRole(deps: Deps, caller: Caller, what: { id: UserId; role: Role }): Promise<UserAnswer> {
  return changeUser(deps, caller, what.id, async (user) => {
    if (user.role === 'owner' && what.role !== 'owner') await refuseLastOwner(deps, user);
    const next = { ...user, role: what.role, version: user.version + 1 };
    return {
      answer: userAnswer(next),
      writes: [
        { kind: 'update', table: 'users', row: next, expectVersion: user.version },
        auditOf(caller, deps.clock.nowMs(), {
          action: 'user.role_changed',
          subject: user.id,
          detail: { email: user.email, from: user.role, to: what.role },
        }),
      ],
    };
  });
}

/** Takes a user away, with sessions and recovery codes. Keys are the account's and stay. */
export async function removeUser(deps: Deps, caller: Caller, id: UserId): Promise<void> {
  return changeUser(deps, caller, id, async (user) => {
    if (user.role === 'owner') await refuseLastOwner(deps, user);
    const codes = await recoveryCodesOf(deps, id);
    return {
      answer: undefined,
      writes: [
        { kind: 'delete', table: 'users', key: id, expectVersion: user.version },
        ...(await endSessions(deps, id)),
        ...codes.map((row): Write => ({ kind: 'delete', table: 'recovery_codes', key: row.id })),
        auditOf(caller, deps.clock.nowMs(), {
          action: 'user.removed',
          subject: id,
          detail: { email: user.email, role: user.role },
        }),
      ],
    };
  });
}

/**
 * Sets a user's second factor back to the beginning: new seed, new recovery codes, new setup secret, all sessions
 * ended. For who lost the authenticator and the codes.
 */
export async function resetSecondFactor(
  deps: Deps,
  caller: Caller,
  id: UserId,
): Promise<{ email: string; totpUri: string; recoveryCodes: string[]; setupSecret: string }> {
  if (caller.session?.userId === id) {
    // It would turn an open session into an authenticator of one's own; moving to another one asks for a fresh code.
    throw new FuselinkError(
      'conflict',
      'Expected another user: for your own authenticator use POST /v1/auth/totp/replace, or ask another owner or the operator.',
    );
  }
  return changeUser(deps, caller, id, async (user) => {
    const seed = newSeed(deps, user);
    const setup = newSetupSecret(deps);
    const recovery = await replaceRecoveryCodes(deps, id);
    const next: UserRow = {
      ...user,
      totp_state: 'pending',
      totp_seed: seed.sealed,
      totp_next: null,
      totp_last_step: 0,
      setup_hash: setup.hash,
      enrolled_at_ms: null,
      version: user.version + 1,
    };
    return {
      answer: { email: user.email, totpUri: seed.uri, recoveryCodes: recovery.codes, setupSecret: setup.text },
      writes: [
        { kind: 'update', table: 'users', row: next, expectVersion: user.version },
        ...recovery.writes,
        ...(await endSessions(deps, id)),
        auditOf(caller, deps.clock.nowMs(), {
          action: 'second_factor.reset',
          subject: id,
          detail: { email: user.email },
        }),
      ],
    };
  });
}

async function changeUser<T>(
  deps: Deps,
  caller: Caller,
  id: UserId,
  decide: (user: UserRow) => Promise<{ answer: T; writes: Write[] }>,
): Promise<T> {
  requireSecondFactor(caller);
  requireOwner(caller);
  return decideAndCommit(deps.store, async () => {
    const user = await deps.store.get('users', { id });
    if (user === null || user.account_id !== caller.accountId) {
      throw new FuselinkError('not_found', 'There is no such user.');
    }
    return decide(user);
  });
}

async function refuseLastOwner(deps: Deps, user: UserRow): Promise<void> {
  const users = await deps.store.list('users', {
    where: [['account_id', '=', user.account_id]],
    orderBy: [
      ['created_at_ms', 'asc'],
      ['id', 'asc'],
    ],
    limit: ACCOUNT_USERS_MAX + 1,
  });
  if (users.some((other) => other.role === 'owner' && other.id !== user.id)) return;
  throw new FuselinkError('conflict', 'Expected another owner beside this one: an account is never without an owner.');
}
