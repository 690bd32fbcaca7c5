import type { MetadataStore } from '../../ports/metadata-store.ts';
import type { Deps } from '../deps.ts';
import { must } from './restored-rows.ts';

const EPOCH_FACT = 'rotation epoch';

/** How often this installation has been restored from a backup. */
export async function readEpoch(store: MetadataStore): Promise<number> {
  return Number((await store.get('facts', { id: EPOCH_FACT }))?.value ?? 0);
}

/** The next epoch, written down. */
export async function raiseEpoch(deps: Pick<Deps, 'store'>): Promise<number> {
  const fact = await deps.store.get('facts', { id: EPOCH_FACT });
  const epoch = Number(fact?.value ?? 0) + 1;
  await must(deps, [
    { kind: 'put', table: 'facts', row: { id: EPOCH_FACT, value: String(epoch), version: (fact?.version ?? 0) + 1 } },
  ]);
  return epoch;
}
