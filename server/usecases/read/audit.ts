import type { AuditWrite } from '../../ports/metadata-store.ts';
import type { TransferRow } from '../../ports/tables.ts';

/** An audit entry in the account of a transfer whose reader is known only by the link it holds. */
export function linkAudit(
  row: TransferRow,
  nowMs: number,
  entry: { action: string; from: string; detail?: Record<string, unknown> },
): AuditWrite {
  return {
    kind: 'audit',
    entry: {
      chain: row.account_id,
      at_ms: nowMs,
      actor: 'link',
      action: entry.action,
      subject: row.id,
      outcome: 'done',
      detail: entry.detail ?? {},
      from: entry.from,
    },
  };
}
