import type { Tally } from '../../domain/campaign/index.ts';
import type { Condition } from '../../ports/metadata-store.ts';
import type { CampaignMemberRow, CampaignRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

type Where = Condition<CampaignMemberRow>[];

const outcome = (name: CampaignMemberRow['outcome']): Condition<CampaignMemberRow> => ['outcome', '=', name];

/** Counts the campaign's devices, by index and without looking at one of them. */
export async function tallyOf(deps: Pick<Deps, 'store'>, record: CampaignRecordRow): Promise<Tally> {
  const count = async (...where: Where) => {
    const all: Where = [['campaign_id', '=', record.id], ...where];
    return (await deps.store.count('campaign_members', { where: all })).rows;
  };
  const wave: Condition<CampaignMemberRow> = ['wave', '=', record.campaign.wave];
  const contacted: Condition<CampaignMemberRow> = ['contacted', '=', true];
  const waiting = await count(outcome('waiting'));
  const open = await count(outcome('open'));
  const done = await count(outcome('done'));
  const errors = await count(outcome('error'));
  const waveWaiting = waiting === 0 ? 0 : await count(outcome('waiting'), wave);
  const waveOpen = open === 0 ? 0 : await count(outcome('open'), wave);
  const waveDone = done === 0 ? 0 : await count(outcome('done'), wave);
  const waveErrors = errors === 0 ? 0 : await count(outcome('error'), wave);
  const openContacted = waveOpen === 0 ? 0 : await count(outcome('open'), wave, contacted);
  // Open devices of earlier waves are counted only where there are any.
  const allContacted = open === waveOpen ? openContacted : await count(outcome('open'), contacted);
  const limbo = open === 0 ? 0 : await count(outcome('open'), ['limbo', '=', true]);
  return {
    waiting,
    open,
    openContacted,
    contacted: allContacted + done + errors,
    done,
    errors,
    limbo,
    waveContacted: openContacted + waveDone + waveErrors,
    waveWaiting,
    waveMembers: waveWaiting + waveOpen + waveDone + waveErrors,
  };
}
