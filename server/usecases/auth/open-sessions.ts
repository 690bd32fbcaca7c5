import { ACCOUNT_USERS_MAX, type SessionAnswer } from '#sdk/protocol';
import type { SessionId, UserId } from '../../domain/ids.ts';
import type { SessionRow, UserRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireSecondFactor } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decideAndCommit } from '../store-helpers.ts';

/** Sessions of one user that are told of: the newest. */
const SESSIONS_MAX = 200;

/** Sign-ins that have not ended, newest first: those of the whole account for an owner, their own for everybody else. */
export async function listSessions(deps: Deps, caller: Caller): Promise<{ sessions: SessionAnswer[] }> {
  requireAccountKey(caller);
  const users = await visibleUsers(deps, caller);
  const nowMs = deps.clock.nowMs();
  const open: SessionAnswer[] = [];
  for (const user of users) {
    const rows = await deps.store.list('sessions', {
      where: [['user_id', '=', user.id]],
      orderBy: [
        ['created_at_ms', 'desc'],
        ['id', 'desc'],
      ],
      limit: SESSIONS_MAX,
    });
    for (const row of rows) if (isOpen(row, nowMs)) open.push(sessionAnswer(row, user, caller));
  }
  return { sessions: open.sort((a, b) => (a.created_at < b.created_at ? 1 : -1)) };
}

function isOpen(row: SessionRow, nowMs: number): boolean {
  return row.ended_at_ms === null && row.expires_at_ms > nowMs;
}

async function visibleUsers(deps: Deps, caller: Caller): Promise<UserRow[]> {
  const all = await deps.store.list('users', {
    where: [['account_id', '=', caller.accountId]],
    limit: ACCOUNT_USERS_MAX,
  });
  return caller.role === 'owner' ? all : all.filter(({ id }) => id === caller.session?.userId);
}

function sessionAnswer(row: SessionRow, user: UserRow, caller: Caller): SessionAnswer {
  return {
    id: row.id,
    user_id: user.id,
    email: user.email,
    key_id: row.key_id,
    created_at: new Date(row.created_at_ms).toISOString(),
    expires_at: new Date(row.expires_at_ms).toISOString(),
    from: row.from,
    current: row.id === caller.session?.id,
  };
}

/** Ends one sign-in: one's own, or, for an owner, any of the account. Throws `not_found` for every other. */
export async function endSession(deps: Deps, caller: Caller, id: SessionId): Promise<void> {
  requireSecondFactor(caller);
  await decideAndCommit(deps.store, async () => {
    const row = await deps.store.get('sessions', { id });
    const nowMs = deps.clock.nowMs();
    if (row === null || !mayEnd(caller, row) || !isOpen(row, nowMs)) {
      throw new FuselinkError('not_found', 'There is no such session, or it has ended.');
    }
    const next: SessionRow = { ...row, ended_at_ms: nowMs, version: row.version + 1 };
    return {
      answer: undefined,
      writes: [
        { kind: 'update', table: 'sessions', row: next, expectVersion: row.version },
        auditOf(caller, nowMs, { action: 'sign_in.ended', subject: row.id, detail: { sessions: 1 } }),
      ],
    };
  });
}

function mayEnd(caller: Caller, row: { account_id: string; user_id: UserId }): boolean {
  if (row.account_id !== caller.accountId) return false;
  return caller.role === 'owner' || row.user_id === caller.session?.userId;
}
