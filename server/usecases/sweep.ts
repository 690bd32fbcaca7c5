import { sweep } from '../domain/transfer/ending.ts';
import type { Condition, Query } from '../ports/metadata-store.ts';
import type { TransferRow } from '../ports/tables.ts';
import { driveCampaigns } from './campaign/drive.ts';
import type { Deps } from './deps.ts';
import { tickRotations } from './rotation/ticks.ts';
import { forgetNonces } from './signed-request/nonces.ts';
import { clearAway, deleteBlob, dropBytes } from './upload/dispose.ts';

/** Rows looked at in one go: a sweep must not hold up requests. */
const BATCH_ROWS = 200;
/** A strict (`on-first-byte`) read may go on this long after the burn before its bytes are taken away under it. */
const BYTES_LINGER_MS = 3_600_000;

export interface SweepReport {
  expired: number;
  burned: number;
  bytesDeleted: number;
  receiptsDropped: number;
}

/** Rows that are looked at in the order of an index: a planner that may choose another order reads the whole table. */
export interface SweepQuery {
  where: readonly Condition<TransferRow>[];
  by: 'expires_at_ms' | 'upload_deadline_ms' | 'grace_until_ms' | 'receipt_until_ms' | 'state';
}

/** The first page of a query. */
export function listOf(query: SweepQuery): Query<TransferRow> {
  return {
    where: query.where,
    orderBy: [
      [query.by, 'asc'],
      ['id', 'asc'],
    ],
    limit: BATCH_ROWS,
  };
}

const inState = (state: TransferRow['state']): Condition<TransferRow> => ['state', '=', state];

/** What time alone ends. One state at a time: two would not come in the order of the index. */
export function dueQueries(nowMs: number): SweepQuery[] {
  return [
    { where: [inState('ready'), ['expires_at_ms', '<=', nowMs]], by: 'expires_at_ms' },
    { where: [inState('claimed'), ['expires_at_ms', '<=', nowMs]], by: 'expires_at_ms' },
    { where: [inState('uploading'), ['upload_deadline_ms', '<=', nowMs]], by: 'upload_deadline_ms' },
    { where: [inState('claimed'), ['grace_until_ms', '<=', nowMs]], by: 'grace_until_ms' },
  ];
}

/**
 * Bytes that outlived their transfer. Said as a range: with two equalities PostgreSQL takes them for independent, expects
 * half the table, and reads all of it to find the none there are.
 */
export const ENDED_WITH_BYTES: readonly SweepQuery[] = (['burned', 'expired', 'revoked'] as const).map((state) => ({
  where: [
    ['storage', '=', 'blob'],
    ['state', '>=', state],
    ['state', '<=', state],
  ],
  by: 'state',
}));

export function oldReceipts(nowMs: number): SweepQuery {
  return { where: [['receipt_until_ms', '<=', nowMs]], by: 'receipt_until_ms' };
}

const UNFINISHED: SweepQuery = { where: [inState('uploading')], by: 'state' };

/**
 * Ends what is due (expired links, abandoned uploads, reads behind a proxy whose grace has passed), deletes the bytes
 * of what has ended, and drops receipts that are old enough. Every step is a compare-and-set of its own, so that
 * several nodes may sweep at the same time and a crash in the middle loses nothing.
 */
export async function sweepOnce(deps: Deps, options: { atStart: boolean }): Promise<SweepReport> {
  const report: SweepReport = { expired: 0, burned: 0, bytesDeleted: 0, receiptsDropped: 0 };
  const nowMs = deps.clock.nowMs();
  for (const query of dueQueries(nowMs)) await eachRow(deps, query, (row) => endDue(deps, row, report));

  if (options.atStart && deps.settings.singleNode) {
    await eachRow(deps, UNFINISHED, async (row) => {
      if (row.kind !== 'one-shot') return;
      await clearAway(deps, row);
      report.expired++;
    });
  }
  const lingered = options.atStart && deps.settings.singleNode ? nowMs : nowMs - BYTES_LINGER_MS;
  for (const query of ENDED_WITH_BYTES) {
    await eachRow(deps, query, async (row) => {
      if ((row.ended_at_ms ?? 0) > lingered && row.delivered_by === 'first-byte') return;
      await deleteBlob(deps, row);
      report.bytesDeleted++;
    });
  }
  await eachRow(deps, oldReceipts(nowMs), async (row) => {
    if (row.storage === 'blob' || row.state === 'uploading' || row.state === 'ready' || row.state === 'claimed') return;
    await deps.store.commit([{ kind: 'delete', table: 'transfers', key: row.id, expectVersion: row.version }]);
    report.receiptsDropped++;
  });
  if (options.atStart) await deleteOrphans(deps, report);
  await forgetNonces(deps);
  await tickRotations(deps);
  await driveCampaigns(deps);
  return report;
}

async function eachRow(deps: Deps, query: SweepQuery, act: (row: TransferRow) => Promise<void>): Promise<void> {
  let after: (string | number)[] | null = null;
  for (;;) {
    const rows: TransferRow[] = await deps.store.list('transfers', {
      ...listOf(query),
      ...(after === null ? {} : { after }),
    });
    for (const row of rows) await act(row);
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < BATCH_ROWS) return;
    after = [last[query.by] as string | number, last.id];
  }
}

async function endDue(deps: Deps, row: TransferRow, report: SweepReport): Promise<void> {
  if (row.state === 'uploading' && row.kind === 'one-shot') {
    await clearAway(deps, row);
    report.expired++;
    return;
  }
  const nowMs = deps.clock.nowMs();
  const next = sweep(row, nowMs);
  if (next === null) return;
  const gone = dropBytes(next);
  const outcome = await deps.store.commit([
    { kind: 'update', table: 'transfers', row: gone.row, expectVersion: row.version },
    ...gone.writes,
    {
      kind: 'audit',
      entry: {
        chain: row.account_id,
        at_ms: nowMs,
        actor: 'sweep',
        action: next.state === 'burned' ? 'transfer.delivered' : 'transfer.expired',
        subject: row.id,
        outcome: 'done',
        detail: { was: row.state, by: next.delivered_by },
        from: 'local',
      },
    },
  ]);
  if (!outcome.ok) return;
  if (next.state === 'burned') report.burned++;
  else report.expired++;
  await deleteBlob(deps, gone.row);
}

/**
 * Blobs no row speaks of. A row is always written before its blob, so such bytes are nobody's. But a database that has
 * never had a transfer is not the one these bytes belong to (it is new, and a backup is about to be brought back): then
 * nothing is deleted.
 */
async function deleteOrphans(deps: Deps, report: SweepReport): Promise<void> {
  const known = await deps.store.list('transfers', { where: [], orderBy: [['id', 'asc']], limit: 1 });
  if (known.length === 0) return;
  for await (const id of deps.blobs.list()) {
    const row = await deps.store.get('transfers', { id: id as TransferRow['id'] });
    if (row !== null && row.storage === 'blob') continue;
    // Read again: the row may have been written between the listing and the look.
    if (row !== null && row.storage === 'inline' && row.state === 'uploading') continue;
    await deps.blobs.delete(id);
    report.bytesDeleted++;
  }
}
