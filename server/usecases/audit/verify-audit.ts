import type { AuditVerifyAnswer } from '#sdk/protocol';
import { canonicalAuditText } from '../../domain/audit-chain.ts';
import { toBase64url, utf8 } from '../../domain/base64url.ts';
import type { AuditRow } from '../../ports/tables.ts';
import { type Caller, requireAccountKey } from '../caller.ts';
import type { Deps } from '../deps.ts';

/** Entries read at once: a chain of millions is verified in constant memory. */
const BATCH_ROWS = 1000;

/**
 * Walks the account's chain from its first entry and recomputes every hash. What was altered, removed from the middle,
 * inserted or reordered is found, at the first entry that does not hold. Entries cut off the end leave a chain that is
 * sound by itself: `expected`, the head somebody noted down earlier, finds that.
 */
export async function verifyAudit(
  deps: Deps,
  caller: Caller,
  expected: { seq: number; hash: string } | null,
): Promise<AuditVerifyAnswer> {
  requireAccountKey(caller);
  const seen: { head: AuditVerifyAnswer['head']; noted: string | null } = { head: null, noted: null };
  for (;;) {
    const after: number[] | null = seen.head === null ? null : [seen.head.seq];
    const rows: AuditRow[] = await deps.store.list('audit', {
      where: [['chain', '=', caller.accountId]],
      orderBy: [['seq', 'asc']],
      ...(after === null ? {} : { after }),
      limit: BATCH_ROWS,
    });
    for (const row of rows) {
      const reason = wrongWith(deps, row, seen.head);
      if (reason !== null) return answer(seen.head, { seq: row.seq, reason });
      seen.head = { seq: row.seq, hash: row.hash };
      if (row.seq === expected?.seq) seen.noted = row.hash;
    }
    if (rows.length < BATCH_ROWS) break;
  }
  if (expected !== null && seen.noted !== expected.hash) {
    const reason =
      seen.noted === null
        ? `expected an entry ${expected.seq}, got a chain that ends at ${seen.head?.seq ?? 0}`
        : `expected the hash noted for entry ${expected.seq}, got another`;
    return answer(seen.head, { seq: expected.seq, reason });
  }
  return answer(seen.head, null);
}

function wrongWith(deps: Deps, row: AuditRow, before: AuditVerifyAnswer['head']): string | null {
  const seq = (before?.seq ?? 0) + 1;
  if (row.seq !== seq) return `expected entry ${seq}, got ${row.seq}: what was between is missing`;
  if (row.prev_hash !== (before?.hash ?? '')) return 'expected the hash of the entry before, got another';
  const hash = toBase64url(deps.crypto.sha256(utf8(canonicalAuditText(row))));
  return row.hash === hash ? null : 'expected the hash of its own contents, got another: the entry was altered';
}

function answer(head: AuditVerifyAnswer['head'], broken: AuditVerifyAnswer['broken']): AuditVerifyAnswer {
  return { ok: broken === null, entries: head?.seq ?? 0, head, broken };
}
