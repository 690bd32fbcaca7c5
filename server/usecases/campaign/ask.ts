import { isStill } from '../../domain/campaign/index.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { CampaignMemberRow, CampaignRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { pagesOf } from '../rows.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { rollOutOf } from './kinds.ts';
import { eachOf, LOOK_EVERY_MS, memberEnded, PAGE_ROWS } from './members.ts';

/** Devices asked in one go; those that are left are asked at the next look: nothing else may wait for a large wave. */
const ASKS_MAX = 2000;

/** Asks the devices of the waves that have begun, each in one commit with the campaign as it is. */
export async function askWaiting(deps: Deps, record: CampaignRecordRow): Promise<void> {
  const { state, wave } = record.campaign;
  if (isStill(state)) return;
  let asked = 0;
  const due = {
    where: [
      ['campaign_id', '=', record.id],
      ['outcome', '=', 'waiting'],
      ['wave', '<=', wave],
    ],
    orderBy: [
      ['wave', 'asc'],
      ['device_id', 'asc'],
    ],
  } as const;
  for await (const rows of pagesOf(deps, 'campaign_members', due, PAGE_ROWS)) {
    await eachOf(rows, (member) => askOne(deps, member));
    asked += rows.length;
    if (asked >= ASKS_MAX) return;
  }
}

async function askOne(deps: Deps, { id, campaign_id: campaignId }: CampaignMemberRow): Promise<void> {
  await decideAndCommit<null>(deps.store, async () => {
    const member = await deps.store.get('campaign_members', { id });
    const record = await deps.store.get('campaigns', { id: campaignId });
    if (member === null || member.outcome !== 'waiting' || record === null) return { writes: [], answer: null };
    if (isStill(record.campaign.state)) return { writes: [], answer: null };
    const device = await deps.store.get('devices', { id: member.device_id });
    if (device === null)
      return {
        writes: [memberEnded(member, 'skipped', 'removed')],
        answer: null,
      };
    const asking = await rollOutOf(record.kind).ask(deps, {
      record,
      member,
      device,
    });
    if (asking.kind === 'later') return { writes: [], answer: null };
    if (asking.kind === 'skipped')
      return {
        writes: [memberEnded(member, 'skipped', asking.reason)],
        answer: null,
      };
    const nowMs = deps.clock.nowMs();
    const asked: CampaignMemberRow = {
      ...member,
      outcome: 'open',
      asked_at_ms: nowMs,
      base_generation: asking.base,
      look_at_ms: nowMs + LOOK_EVERY_MS,
      version: member.version + 1,
    };
    const writes: Write[] = [
      // Between a pause and its effect nobody is asked (I13).
      {
        kind: 'expect',
        table: 'campaigns',
        key: record.id,
        version: record.version,
      },
      ...asking.writes,
      {
        kind: 'update',
        table: 'campaign_members',
        row: asked,
        expectVersion: member.version,
      },
    ];
    return { writes, answer: null };
  });
}
