import type { Condition, Write } from '../../ports/metadata-store.ts';
import type { CampaignMemberRow, CampaignNewsRow, CampaignRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { pagesOf } from '../rows.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { rollOutOf } from './kinds.ts';
import { eachOf, LOOK_EVERY_MS, memberEnded, PAGE_ROWS } from './members.ts';
import type { Asked } from './roll-out.ts';

/** Devices looked at without news in one go; those that are left come with the next look. */
const QUIET_LOOKS_MAX = 2000;

/**
 * Writes down what the devices that were asked have come to: those of which there is news, and those whose time to be
 * looked at has come. On the way to an abort or a roll-back it is all of them, and what can be is taken back.
 */
export async function followOpen(deps: Deps, record: CampaignRecordRow): Promise<void> {
  await readNews(deps, record);
  const { state } = record.campaign;
  if (state === 'ABORTING') return takeBackAll(deps, record, 'abort');
  if (state === 'ROLLING_BACK') await takeBackAll(deps, record, 'rollBack');
  return lookAtQuiet(deps, record);
}

const openOf = (record: CampaignRecordRow): Condition<CampaignMemberRow>[] => [
  ['campaign_id', '=', record.id],
  ['outcome', '=', 'open'],
];

async function readNews(deps: Deps, record: CampaignRecordRow): Promise<void> {
  const pages = pagesOf(
    deps,
    'campaign_news',
    {
      where: [['campaign_id', '=', record.id]],
      orderBy: [['id', 'asc']],
    },
    PAGE_ROWS,
  );
  for await (const rows of pages) {
    await eachOf(rows, (news) => lookAt(deps, record, news.id, news));
  }
}

async function lookAtQuiet(deps: Deps, record: CampaignRecordRow): Promise<void> {
  const nowMs = deps.clock.nowMs();
  // Whoever is looked at is not due any more: each page is the first.
  for (let looked = 0; looked < QUIET_LOOKS_MAX; looked += PAGE_ROWS) {
    const rows = await deps.store.list('campaign_members', {
      where: [...openOf(record), ['look_at_ms', '<=', nowMs]],
      orderBy: [['look_at_ms', 'asc']],
      limit: PAGE_ROWS,
    });
    await eachOf(rows, ({ id }) => lookAt(deps, record, id, null));
    if (rows.length < PAGE_ROWS) return;
  }
}

async function takeBackAll(deps: Deps, record: CampaignRecordRow, order: 'abort' | 'rollBack'): Promise<void> {
  // Those that are on their way back were asked after the roll-back had begun.
  const notYet: Condition<CampaignMemberRow> = ['asked_at_ms', '<=', record.campaign.sinceMs];
  await eachMember(deps, [...openOf(record), notYet], (id) => takeBack(deps, record, id, order));
  if (order !== 'rollBack' || !rollOutOf(record.kind).undoesEnded) return;
  for (const outcome of ['done', 'error'] as const) {
    const ended = [['campaign_id', '=', record.id] as const, ['outcome', '=', outcome] as const];
    await eachMember(deps, ended, (id) => undoEnded(deps, record, id));
  }
}

async function eachMember(
  deps: Deps,
  where: readonly Condition<CampaignMemberRow>[],
  act: (id: string) => Promise<void>,
): Promise<void> {
  const pages = pagesOf(
    deps,
    'campaign_members',
    {
      where,
      orderBy: [['device_id', 'asc']],
    },
    PAGE_ROWS,
  );
  for await (const rows of pages) {
    await eachOf(rows, ({ id }) => act(id));
  }
}

/** One device that was asked, as it is now; what it comes to here needs no look at it. */
async function openMember(deps: Deps, record: CampaignRecordRow, id: string): Promise<Asked | Write[]> {
  const member = await deps.store.get('campaign_members', { id });
  if (member === null || member.outcome !== 'open') return [];
  const device = await deps.store.get('devices', { id: member.device_id });
  return device === null ? [memberEnded(member, 'skipped', 'removed')] : { record, member, device };
}

async function lookAt(
  deps: Deps,
  record: CampaignRecordRow,
  id: string,
  news: Pick<CampaignNewsRow, 'version'> | null,
): Promise<void> {
  // News that came since stays, and is looked at the next time.
  const read: Write[] =
    news === null
      ? []
      : [
          {
            kind: 'delete',
            table: 'campaign_news',
            key: id,
            expectVersion: news.version,
          },
        ];
  await decideAndCommit<null>(deps.store, async () => {
    const newest = news === null ? null : await deps.store.get('campaign_news', { id });
    if (newest?.version !== news?.version) return { writes: [], answer: null };
    const at = await openMember(deps, record, id);
    if (Array.isArray(at)) return { writes: [...read, ...at], answer: null };
    const { member } = at;
    const { contacted, limbo, end, againAtMs } = await rollOutOf(record.kind).look(deps, at);
    const heard: CampaignMemberRow = { ...member, contacted, limbo };
    if (end !== null)
      return {
        writes: [...read, memberEnded(heard, end.outcome, end.reason)],
        answer: null,
      };
    const changed = contacted !== member.contacted || limbo !== member.limbo;
    const nowMs = deps.clock.nowMs();
    const lookAtMs = Math.min(againAtMs ?? Number.MAX_SAFE_INTEGER, nowMs + LOOK_EVERY_MS);
    if (!changed && member.look_at_ms > nowMs && member.look_at_ms <= lookAtMs) return { writes: read, answer: null };
    const row: CampaignMemberRow = {
      ...heard,
      look_at_ms: lookAtMs,
      version: member.version + 1,
    };
    const update: Write = {
      kind: 'update',
      table: 'campaign_members',
      row,
      expectVersion: member.version,
    };
    return { writes: [...read, update], answer: null };
  });
}

async function takeBack(deps: Deps, record: CampaignRecordRow, id: string, order: 'abort' | 'rollBack'): Promise<void> {
  const rollOut = rollOutOf(record.kind);
  await decideAndCommit<null>(deps.store, async () => {
    const at = await openMember(deps, record, id);
    if (Array.isArray(at)) return { writes: at, answer: null };
    const { contacted, limbo, end } = await rollOut.look(deps, at);
    const heard: CampaignMemberRow = { ...at.member, contacted, limbo };
    if (end !== null)
      return {
        writes: [memberEnded(heard, end.outcome, end.reason)],
        answer: null,
      };
    const { writes, reason, waits = false } = await rollOut.takeBack(deps, at, order);
    const member = waits ? memberReturns(deps, record, heard) : memberEnded(heard, 'skipped', reason);
    return { writes: [...writes, member], answer: null };
  });
}

/** A device that has what the campaign brought goes back to what it had. What cannot be undone stays what it is. */
async function undoEnded(deps: Deps, record: CampaignRecordRow, id: string): Promise<void> {
  await decideAndCommit<null>(deps.store, async () => {
    const member = await deps.store.get('campaign_members', { id });
    const device = member === null ? null : await deps.store.get('devices', { id: member.device_id });
    if (member === null || device === null) return { writes: [], answer: null };
    const taken = await rollOutOf(record.kind).takeBack(deps, { record, member, device }, 'rollBack');
    if (taken.writes.length === 0) return { writes: [], answer: null };
    const next =
      taken.waits === true ? memberReturns(deps, record, member) : memberEnded(member, 'skipped', taken.reason);
    return { writes: [...taken.writes, next], answer: null };
  });
}

/** The campaign is not over before this device is back where it was, or has been silent for too long. */
function memberReturns(deps: Deps, record: CampaignRecordRow, member: CampaignMemberRow): Write {
  const nowMs = deps.clock.nowMs();
  const row: CampaignMemberRow = {
    ...member,
    outcome: 'open',
    reason: null,
    asked_at_ms: Math.max(nowMs, record.campaign.sinceMs + 1),
    look_at_ms: nowMs + Math.min(LOOK_EVERY_MS, record.campaign.rules.silenceMs),
    version: member.version + 1,
  };
  return { kind: 'update', table: 'campaign_members', row, expectVersion: member.version };
}
