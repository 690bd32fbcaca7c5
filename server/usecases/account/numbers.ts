import type { AccountId } from '../../domain/ids.ts';
import type { NumberRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

/** Tries before chance is held to be broken: of two thousand million numbers, one is free at the first try. */
const TRIES_MAX = 20;

/**
 * The whole number that stands for a key, an account or a group where another system's API wants one. Made at its
 * first mention and kept; random, so that nobody can count somebody else's.
 */
export async function numberOf(
  deps: Deps,
  what: { accountId: AccountId; kind: NumberRow['kind']; subject: string },
): Promise<number> {
  const where = { account_id: what.accountId, kind: what.kind, subject: what.subject };
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const known = await deps.store.get('numbers', where);
    if (known !== null) return Number(known.id);
    const [a = 0, b = 0, c = 0, d = 0] = deps.random.bytes(4);
    const number = (a & 0x7f) * 0x1000000 + b * 0x10000 + c * 0x100 + d || 1;
    const outcome = await deps.store.commit([
      { kind: 'insert', table: 'numbers', row: { id: String(number), ...where, version: 1 } },
    ]);
    if (outcome.ok) return number;
  }
  throw new Error(`no free number in ${TRIES_MAX} tries`);
}

/** What a number stands for in this account; null for a stranger's, for another kind, and for what is no number. */
export async function subjectOf(
  deps: Deps,
  what: { accountId: AccountId; kind: NumberRow['kind']; number: string },
): Promise<string | null> {
  if (!/^[1-9]\d{0,9}$/.test(what.number)) return null;
  const row = await deps.store.get('numbers', { id: what.number });
  return row !== null && row.account_id === what.accountId && row.kind === what.kind ? row.subject : null;
}
