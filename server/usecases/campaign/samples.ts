import type { CampaignCounts, CampaignSample } from '#sdk/protocol';
import { hasEnded } from '../../domain/campaign/index.ts';
import type { CampaignRecordRow, CampaignSampleRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { findCampaign } from './manage.ts';

/**
 * A sample is taken once a hundredth of the time since the first one has passed since the last one: a chart needs no
 * more, and a campaign of months keeps about as many as one of minutes. A draft may have lain for months before.
 */
const LIFE_PARTS = 100;
const SAMPLES_MAX = 5_000;

/** Counts where the campaign's devices stand. Each number is read by an index. */
async function countsOf(deps: Pick<Deps, 'store'>, campaignId: string): Promise<CampaignCounts> {
  const members = async (outcome: 'waiting' | 'open' | 'done' | 'error' | 'skipped') =>
    (
      await deps.store.count('campaign_members', {
        where: [
          ['campaign_id', '=', campaignId],
          ['outcome', '=', outcome],
        ],
      })
    ).rows;
  const rotations = async (state: string) =>
    (
      await deps.store.count('rotations', {
        where: [
          ['campaign_id', '=', campaignId],
          ['state', '=', state],
        ],
      })
    ).rows;
  const [waiting, open, done, errors, skipped] = await Promise.all([
    members('waiting'),
    members('open'),
    members('done'),
    members('error'),
    members('skipped'),
  ]);
  const [wanted, minted, proven, overdue] = await Promise.all([
    rotations('WANTED'),
    rotations('MINTED'),
    rotations('PROVEN'),
    rotations('OVERDUE'),
  ]);
  return { waiting, open, wanted, minted, proven, overdue, done, errors, skipped };
}

/** Writes down where the devices stand, unless that was done a moment ago or nothing has changed. Never rejects. */
export async function takeSample(deps: Deps, record: CampaignRecordRow): Promise<void> {
  try {
    const nowMs = deps.clock.nowMs();
    const [first, last] = await Promise.all([endOf(deps, record.id, 'asc'), endOf(deps, record.id, 'desc')]);
    const due = first === undefined || last === undefined || nowMs - last.at_ms >= (nowMs - first.at_ms) / LIFE_PARTS;
    if (!due && !hasEnded(record.campaign.state)) return;
    const counts = await countsOf(deps, record.id);
    if (last !== undefined && JSON.stringify(last.counts) === JSON.stringify(counts)) return;
    const row: CampaignSampleRow = {
      id: `${record.id}/${nowMs}`,
      campaign_id: record.id,
      at_ms: nowMs,
      counts,
      version: 1,
    };
    // Another node may have taken one in this very millisecond: then it stands.
    await deps.store.commit([{ kind: 'insert', table: 'campaign_samples', row }]);
  } catch (error) {
    deps.warn(`campaign ${record.id} goes on, but where it stands could not be noted for its chart`, error);
  }
}

async function endOf(
  deps: Pick<Deps, 'store'>,
  campaignId: string,
  direction: 'asc' | 'desc',
): Promise<CampaignSampleRow | undefined> {
  const [row] = await deps.store.list('campaign_samples', {
    where: [['campaign_id', '=', campaignId]],
    orderBy: [['at_ms', direction]],
    limit: 1,
  });
  return row;
}

/** Where the devices of a campaign stood, oldest first; the last one is counted now. */
export async function campaignHistory(deps: Deps, caller: Caller, id: string): Promise<{ samples: CampaignSample[] }> {
  const record = await findCampaign(deps, caller, id);
  const rows = await deps.store.list('campaign_samples', {
    where: [['campaign_id', '=', record.id]],
    orderBy: [['at_ms', 'asc']],
    limit: SAMPLES_MAX,
  });
  const samples = rows.map(({ at_ms, counts }) => ({ at: new Date(at_ms).toISOString(), ...counts }));
  const now = { at: new Date(deps.clock.nowMs()).toISOString(), ...(await countsOf(deps, record.id)) };
  return { samples: [...samples, now] };
}
