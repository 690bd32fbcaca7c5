import { type AuditAnswer, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX } from '#sdk/protocol';
import type { AuditRow } from '../../ports/tables.ts';
import { type Caller, requireAccountKey } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { decodeCursor, encodeCursor } from '../paging.ts';

export function auditAnswer(row: AuditRow): AuditAnswer {
  return {
    seq: row.seq,
    at: new Date(row.at_ms).toISOString(),
    actor: row.actor,
    action: row.action,
    subject: row.subject,
    outcome: row.outcome,
    detail: row.detail,
    from: row.from,
    prev_hash: row.prev_hash,
    hash: row.hash,
  };
}

/** A page of the account's audit, newest first. Entries appended meanwhile do not move a page that was begun. */
export async function listAudit(
  deps: Deps,
  caller: Caller,
  query: { cursor?: string | undefined; limit?: number | undefined; subject?: string | undefined },
): Promise<{ entries: AuditAnswer[]; next_cursor: string | null }> {
  requireAccountKey(caller);
  const limit = Math.min(query.limit ?? PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX);
  const after = decodeCursor(query.cursor, ['number']);
  const rows = await deps.store.list('audit', {
    where: [
      ['chain', '=', caller.accountId],
      ...(query.subject === undefined ? [] : ([['subject', '=', query.subject]] as const)),
    ],
    orderBy: [['seq', 'desc']],
    ...(after === null ? {} : { after }),
    limit: limit + 1,
  });
  const page = rows.slice(0, limit);
  const last = page[page.length - 1];
  return {
    entries: page.map(auditAnswer),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor([last.seq]) : null,
  };
}
