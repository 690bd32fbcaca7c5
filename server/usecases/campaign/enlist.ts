import type { Write } from '../../ports/metadata-store.ts';
import type { CampaignMemberRow, CampaignRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { memberId } from './news.ts';
import { selectDevices, wavesOf } from './select.ts';

/** Members written in one commit. */
const BATCH_ROWS = 500;

/** Writes down who is in which wave. A crash in the middle is mended by the next call: rows that are there stay. */
export async function enlist(deps: Deps, record: CampaignRecordRow): Promise<number> {
  const selected = await selectDevices(deps, record.account_id, record.selection);
  const waves = wavesOf(deps, record.id, selected, record.campaign.rules);
  const inserts = waves.flatMap((devices, wave) =>
    devices.map((deviceId): Write => {
      const row: CampaignMemberRow = {
        id: memberId(record.id, deviceId),
        campaign_id: record.id,
        device_id: deviceId,
        wave,
        outcome: 'waiting',
        reason: null,
        asked_at_ms: null,
        contacted: false,
        limbo: false,
        base_generation: 0,
        look_at_ms: 0,
        version: 1,
      };
      return { kind: 'insert', table: 'campaign_members', row };
    }),
  );
  for (let from = 0; from < inserts.length; from += BATCH_ROWS) {
    const batch = inserts.slice(from, from + BATCH_ROWS);
    const outcome = await deps.store.commit(batch);
    // One that is there already, from a call that a crash cut short, fails them all: then each by itself.
    if (!outcome.ok) for (const insert of batch) await deps.store.commit([insert]);
  }
  return selected.length;
}
