import type { Write } from '../../ports/metadata-store.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

/**
 * How an ended transfer's bytes go: small ones with the very commit that ends it, those in the blob store right after
 * (`deleteBlob`), because a deletion cannot be taken back if the commit fails. The sweep repeats what a crash left.
 */
export function dropBytes(row: TransferRow): { row: TransferRow; writes: Write[] } {
  const writes: Write[] = [{ kind: 'delete', table: 'bodies', key: row.id }];
  return { row: row.storage === 'inline' ? { ...row, storage: 'gone' } : row, writes };
}

/** Deletes the blob of an ended transfer and notes that it is gone. Never rejects: the sweep will try again. */
export async function deleteBlob(deps: Deps, row: TransferRow): Promise<void> {
  if (row.storage !== 'blob') return;
  try {
    await deps.blobs.delete(row.id);
    await deps.store.commit([
      {
        kind: 'update',
        table: 'transfers',
        row: { ...row, storage: 'gone', version: row.version + 1 },
        expectVersion: row.version,
      },
    ]);
  } catch (error) {
    deps.warn('the bytes of an ended transfer could not be deleted yet', error);
  }
}

/**
 * Deletes an unfinished upload; false where it moved on meanwhile. The row is taken first, with a deadline that has
 * passed: a sender that ends just now then loses its commit instead of its bytes, and what a fault leaves is due for
 * the next sweep. The bytes go before the row, because bytes without a row would linger.
 */
export async function discardUnfinished(deps: Deps, row: TransferRow): Promise<boolean> {
  let version = row.version;
  if (row.storage === 'blob') {
    const taken: TransferRow = { ...row, upload_deadline_ms: deps.clock.nowMs(), version: version + 1 };
    const outcome = await deps.store.commit([
      { kind: 'update', table: 'transfers', row: taken, expectVersion: version },
    ]);
    if (!outcome.ok) return false;
    version++;
    await deps.blobs.delete(row.id);
  }
  const outcome = await deps.store.commit([
    { kind: 'delete', table: 'transfers', key: row.id, expectVersion: version },
    { kind: 'delete', table: 'bodies', key: row.id },
  ]);
  return outcome.ok;
}

/** `discardUnfinished` for what failed anyway: never rejects, since what cannot be deleted now is the sweep's. */
export async function clearAway(deps: Deps, row: TransferRow): Promise<void> {
  try {
    if (await discardUnfinished(deps, row)) return;
    // Another node took it for abandoned: what this one wrote after that is nobody's.
    const gone = row.storage === 'blob' && (await deps.store.get('transfers', { id: row.id })) === null;
    if (gone) await deps.blobs.delete(row.id);
  } catch (error) {
    deps.warn('an upload that failed could not be cleared away yet', error);
  }
}
