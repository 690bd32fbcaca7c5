import { isStill } from '../../domain/campaign/index.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { RotationRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

export interface Gate {
  paused: boolean;
  /** Makes a commit hold only while what it was decided on is so: nothing is minted between a pause and its effect. */
  writes: Write[];
}

/** Whether account and campaign let keys be minted now, read for the same commit that would mint one. */
export async function gateOf(deps: Pick<Deps, 'store'>, record: RotationRecordRow): Promise<Gate> {
  const account = await deps.store.get('accounts', { id: record.account_id });
  if (account === null) return { paused: true, writes: [] };
  const writes: Write[] = [{ kind: 'expect', table: 'accounts', key: account.id, version: account.version }];
  const held = account.settings.rotations_paused === true;
  if (record.campaign_id === null) return { paused: held, writes };
  const campaign = await deps.store.get('campaigns', { id: record.campaign_id });
  if (campaign === null) return { paused: true, writes };
  writes.push({ kind: 'expect', table: 'campaigns', key: campaign.id, version: campaign.version });
  return { paused: held || isStill(campaign.campaign.state), writes };
}

/** The same, for what a device is told: a moment's delay does no harm there. */
export async function pausedFor(deps: Pick<Deps, 'store'>, record: RotationRecordRow): Promise<boolean> {
  return record.state === 'IDLE' ? false : (await gateOf(deps, record)).paused;
}
