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
