import type { CommitOutcome, MetadataStore, Write } from '../ports/metadata-store.ts';

/** Conflicts one decision may meet in a row before it is a fault: far more than any honest race. */
const TRIES_MAX = 100;

/**
 * Load, decide, store: repeats all three while somebody else changed what was loaded. `decide` returns the writes and
 * the answer, or throws; an empty list of writes commits nothing.
 */
export async function decideAndCommit<T>(
  store: MetadataStore,
  attempt: () => Promise<{ writes: readonly Write[]; answer: T }>,
): Promise<T> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const { writes, answer } = await attempt();
    if (writes.length === 0) return answer;
    const outcome: CommitOutcome = await store.commit(writes);
    if (outcome.ok) return answer;
  }
  throw new Error(`a decision lost ${TRIES_MAX} races in a row`);
}
