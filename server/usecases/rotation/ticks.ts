import type { Deps } from '../deps.ts';
import { commandRotation } from './hear.ts';

/** Rows looked at in one go: what is left comes with the next sweep. */
const BATCH_ROWS = 200;

/**
 * Moves the rotations that time alone moves: deadlines that passed, pending keys that were not proven. Each by
 * compare-and-set of its own, so that several nodes may do it at once and a crash in the middle loses nothing.
 * Returns how many it looked at.
 */
export async function tickRotations(deps: Deps): Promise<number> {
  const due = await deps.store.list('rotations', {
    where: [['due_at_ms', '<=', deps.clock.nowMs()]],
    orderBy: [['due_at_ms', 'asc']],
    limit: BATCH_ROWS,
  });
  for (const { device_id: id, account_id: accountId } of due) {
    try {
      await commandRotation(deps, { id, accountId }, { kind: 'tick' });
    } catch (error) {
      deps.warn(`the rotation of ${id} could not be moved on`, error);
    }
  }
  return due.length;
}
