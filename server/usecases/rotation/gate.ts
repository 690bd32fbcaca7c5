import type { Write } from '../../ports/metadata-store.ts';
import type { RotationRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

export interface Gate {
  paused: boolean;
  /** Makes a commit hold only while the campaign is what it was: nothing is minted between a pause and its effect. */
  writes: Write[];
}

/** Whether the account lets rotations begin at all now, read for the same commit that would mint a key. */
export async function gateOf(deps: Pick<Deps, 'store'>, record: RotationRecordRow): Promise<Gate> {
  const account = await deps.store.get('accounts', { id: record.account_id });
  if (account === null) return { paused: true, writes: [] };
  const paused = account.settings.rotations_paused === true;
  return { paused, writes: [{ kind: 'expect', table: 'accounts', key: account.id, version: account.version }] };
}

/** The same, for what a device is told: a moment's delay does no harm there. */
export async function pausedFor(deps: Pick<Deps, 'store'>, record: RotationRecordRow): Promise<boolean> {
  return record.state === 'IDLE' ? false : (await gateOf(deps, record)).paused;
}
