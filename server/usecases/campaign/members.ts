import type { Write } from '../../ports/metadata-store.ts';
import type { CampaignMemberRow } from '../../ports/tables.ts';

/** Members read in one go. */
export const PAGE_ROWS = 200;
/** A device that was asked is looked at this often even where there is no news of it. */
export const LOOK_EVERY_MS = 600_000;
/** Members whose commits may share one flush of the disk. */
const AT_ONCE = 16;

/** Does all of them, a few at once. A fault is thrown when those that had begun with it are through. */
export async function eachOf<T>(members: readonly T[], act: (member: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < members.length; from += AT_ONCE) {
    const ends = await Promise.allSettled(members.slice(from, from + AT_ONCE).map(act));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }
}

/** The write that ends a device's part in its campaign. */
export function memberEnded(
  member: CampaignMemberRow,
  outcome: CampaignMemberRow['outcome'],
  reason: string | null,
): Write {
  const row: CampaignMemberRow = {
    ...member,
    outcome,
    reason,
    version: member.version + 1,
  };
  return {
    kind: 'update',
    table: 'campaign_members',
    row,
    expectVersion: member.version,
  };
}
