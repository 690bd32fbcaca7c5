import { afterFailure, FAILURES_KEPT_MS, networkOf, secondsToWait } from '../../domain/auth/waits.ts';
import type { UserId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { SignInAttemptRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

/** How long an address from which somebody signed in keeps its own count. */
const ADDRESS_KNOWN_MS = 30 * 86_400_000;
/** Rows that each failure clears away, so that the table cannot grow for ever. */
const CLEARED_AT_ONCE = 20;

/**
 * Where failures are counted.
 *
 * A wrong e-mail or key counts against the address it came from, and the wait that follows holds back wrong keys only:
 * whoever has the right one passes, so nobody can lock somebody else out from the same network.
 *
 * A wrong code with the right key counts against the user. An address the user has signed in from before has a count
 * of its own, so that whoever stole the key and tries codes elsewhere does not lock the owner out; recovery codes,
 * which cannot be guessed, are never held back.
 */
export function addressCounter(from: string): string {
  return `address ${networkOf(from)}`;
}

export async function codeCounter(deps: Deps, userId: UserId, from: string): Promise<string> {
  const known = knownAddress(userId, from);
  const row = await deps.store.get('sign_in_attempts', { id: known });
  return row !== null && deps.clock.nowMs() - row.at_ms < ADDRESS_KNOWN_MS ? known : `codes ${userId}`;
}

function knownAddress(userId: UserId, from: string): string {
  return `known ${userId} ${networkOf(from)}`;
}

/** Throws `sign_in_limit_exceeded` while the counter's wait lasts. */
export async function refuseWhileWaiting(deps: Deps, counter: string): Promise<SignInAttemptRow | null> {
  const row = await deps.store.get('sign_in_attempts', { id: counter });
  const seconds = secondsToWait(row, deps.clock.nowMs());
  if (seconds > 0) {
    throw new FuselinkError(
      'sign_in_limit_exceeded',
      `Too many sign-in attempts have failed: the next one is looked at in ${seconds} s.`,
      { retryAfterSeconds: seconds },
    );
  }
  return row;
}

/** The write that counts one more failure; it conflicts where another attempt was counted meanwhile. */
export function failureWrite(counter: string, before: SignInAttemptRow | null, nowMs: number): Write {
  const waits = afterFailure(before, nowMs);
  if (before === null) {
    return { kind: 'insert', table: 'sign_in_attempts', row: { id: counter, ...waits, version: 1 } };
  }
  return {
    kind: 'update',
    table: 'sign_in_attempts',
    row: { id: counter, ...waits, version: before.version + 1 },
    expectVersion: before.version,
  };
}

/** The writes of a success: failures are forgotten and the address is known from now on. */
export function successWrites(counter: string, what: { userId: UserId; from: string; nowMs: number }): Write[] {
  const known = knownAddress(what.userId, what.from);
  const writes: Write[] = [
    {
      kind: 'put',
      table: 'sign_in_attempts',
      row: { id: known, failures: 0, wait_until_ms: 0, at_ms: what.nowMs, version: 1 },
    },
  ];
  if (counter !== known) writes.push({ kind: 'delete', table: 'sign_in_attempts', key: counter });
  return writes;
}

/** Clears counters whose time has passed. Never rejects: the next failure tries again. */
export async function clearOldAttempts(deps: Deps): Promise<void> {
  const nowMs = deps.clock.nowMs();
  try {
    const rows = await deps.store.list('sign_in_attempts', {
      where: [['at_ms', '<', nowMs - FAILURES_KEPT_MS]],
      orderBy: [['at_ms', 'asc']],
      limit: CLEARED_AT_ONCE,
    });
    for (const row of rows) {
      if (row.id.startsWith('known ') && nowMs - row.at_ms < ADDRESS_KNOWN_MS) continue;
      await deps.store.commit([{ kind: 'delete', table: 'sign_in_attempts', key: row.id, expectVersion: row.version }]);
    }
  } catch (error) {
    deps.warn('old sign-in attempts could not be cleared yet', error);
  }
}
