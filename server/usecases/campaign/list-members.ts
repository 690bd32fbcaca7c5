import { type CampaignMemberAnswer, type CampaignMemberOutcome, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX } from '#sdk/protocol';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { decodeCursor, encodeCursor, type PageQuery } from '../paging.ts';
import { findCampaign } from './manage.ts';

/** A page of the campaign's devices, in the order of their ids; those of one outcome where one is given. */
export async function listMembers(
  deps: Deps,
  caller: Caller,
  id: string,
  query: PageQuery & { outcome?: CampaignMemberOutcome | undefined },
): Promise<{ members: CampaignMemberAnswer[]; next_cursor: string | null }> {
  const record = await findCampaign(deps, caller, id);
  const limit = Math.min(query.limit ?? PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX);
  const after = decodeCursor(query.cursor, ['string']);
  // Ids of members begin with their campaign's, so both lists come in the order of an index.
  const rows = await deps.store.list('campaign_members', {
    where:
      query.outcome === undefined
        ? [
            ['id', '>', `${record.id}/${after?.[0] ?? ''}`],
            ['id', '<', `${record.id}0`],
          ]
        : [
            ['campaign_id', '=', record.id],
            ['outcome', '=', query.outcome],
          ],
    orderBy: [[query.outcome === undefined ? 'id' : 'device_id', 'asc']],
    ...(after === null || query.outcome === undefined ? {} : { after }),
    limit: limit + 1,
  });
  const page = rows.slice(0, limit);
  const last = page[page.length - 1];
  const ids = page.map(({ device_id }) => device_id);
  const [devices, rotations] =
    ids.length === 0
      ? [[], []]
      : await Promise.all([
          deps.store.list('devices', { where: [['id', 'in', ids]], limit: ids.length }),
          deps.store.list('rotations', { where: [['device_id', 'in', ids]], limit: ids.length }),
        ]);
  const names = new Map(devices.map((device) => [device.id, device.name]));
  const states = new Map(rotations.map((rotation) => [rotation.device_id, rotation.state]));
  return {
    members: page.map((member) => ({
      device_id: member.device_id,
      device_name: names.get(member.device_id) ?? null,
      wave: member.wave,
      outcome: member.outcome,
      reason: member.reason,
      rotation_state: states.get(member.device_id) ?? null,
      asked_at: member.asked_at_ms === null ? null : new Date(member.asked_at_ms).toISOString(),
      contacted: member.contacted,
    })),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor([last.device_id]) : null,
  };
}
