import { type CampaignCommand, hasEnded, stepCampaign, type Tally } from '../../domain/campaign/index.ts';
import type { AuditWrite, Write } from '../../ports/metadata-store.ts';
import type { CampaignRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { newId } from '../new-id.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { askWaiting } from './ask.ts';
import { enlist } from './enlist.ts';
import { followOpen } from './follow.ts';
import { takeSample } from './samples.ts';
import { tallyOf } from './tally.ts';

const PAGE_ROWS = 200;
/** A running campaign is looked at this often. */
const TICK_MS = 2000;
/** Arrows one campaign may take in one go: a wave's end, its soak, the next wave, and its question. */
const LOOKS_MAX = 8;
const DAY_MS = 86_400_000;
const AUTHOR = { actor: 'campaign', from: 'local' };

/** When a campaign is to be looked at again. */
export function campaignDueAtMs(record: Pick<CampaignRecordRow, 'campaign'>, nowMs: number): number | null {
  const { state, startAtMs } = record.campaign;
  if (state === 'SCHEDULED') return startAtMs;
  if (state === 'DRAFT' || state === 'PAUSED' || hasEnded(state)) return null;
  return nowMs + TICK_MS;
}

/** Drives every campaign that is due, each by compare-and-set of its own: nodes may share the work, and crash in it. */
export async function driveCampaigns(deps: Deps): Promise<void> {
  const due = await deps.store.list('campaigns', {
    where: [['due_at_ms', '<=', deps.clock.nowMs()]],
    orderBy: [['due_at_ms', 'asc']],
    limit: PAGE_ROWS,
  });
  for (const { id } of due) {
    try {
      for (let looks = 0; looks < LOOKS_MAX && (await driveCampaign(deps, id)); looks++);
    } catch (error) {
      deps.warn(`campaign ${id} could not be driven on`, error);
    }
  }
}

/**
 * One look at one campaign: what its devices have come to, where that takes it, and what is to be asked of them. True
 * where it moved, and another look may find more to do.
 */
export async function driveCampaign(deps: Deps, id: string): Promise<boolean> {
  const record = await deps.store.get('campaigns', { id });
  if (record === null || hasEnded(record.campaign.state)) return false;
  const { state } = record.campaign;
  if (state !== 'SCHEDULED' && state !== 'DRAFT') {
    await askWaiting(deps, record);
    await followOpen(deps, record);
  }
  // Who is in it is written down before it begins: a campaign without devices would be over at once.
  const { startAtMs } = record.campaign;
  if (state === 'SCHEDULED' && startAtMs !== null && startAtMs <= deps.clock.nowMs()) await enlist(deps, record);
  const after = await commandCampaign(deps, id, { kind: 'tick', tally: await tallyOf(deps, record) }, AUTHOR);
  if (after !== null && state !== 'SCHEDULED' && state !== 'DRAFT') await takeSample(deps, after);
  return after !== null && after.campaign.state !== state;
}

/** Stores a command's outcome with its audit entry; null where there is no such campaign. */
export async function commandCampaign(
  deps: Deps,
  id: string,
  command: CampaignCommand,
  author: { actor: string; from: string },
): Promise<CampaignRecordRow | null> {
  return decideAndCommit(deps.store, async () => {
    const record = await deps.store.get('campaigns', { id });
    if (record === null) return { writes: [], answer: null };
    const nowMs = deps.clock.nowMs();
    const { campaign, kind, audit } = stepCampaign(record.campaign, command, nowMs);
    const due = campaignDueAtMs({ campaign }, nowMs);
    // A tick that moves nothing only says when the next one is; it must not make anybody's compare-and-set fail.
    if (kind === 'stayed' && (record.due_at_ms === null || record.due_at_ms > nowMs)) {
      return { writes: [], answer: record };
    }
    const next: CampaignRecordRow = {
      ...record,
      campaign,
      state: campaign.state,
      due_at_ms: due,
      version: record.version + 1,
    };
    const writes: Write[] = [{ kind: 'update', table: 'campaigns', row: next, expectVersion: record.version }];
    if (audit !== null)
      writes.push(auditOfCampaign(next, { ...author, action: audit, nowMs, tally: tallyIn(command) }));
    if (kind === 'moved' && campaign.state.startsWith('COMPLETED')) writes.push(...again(deps, next, nowMs));
    return { writes, answer: next };
  });
}

function tallyIn(command: CampaignCommand): Tally | null {
  return command.kind === 'tick' ? command.tally : null;
}

export function auditOfCampaign(
  record: CampaignRecordRow,
  entry: { actor: string; from: string; action: string; nowMs: number; tally: Tally | null },
): AuditWrite {
  const { state, wave, reason } = record.campaign;
  const { contacted, done, errors, open } = entry.tally ?? {};
  return {
    kind: 'audit',
    entry: {
      chain: record.account_id,
      at_ms: entry.nowMs,
      actor: entry.actor,
      action: entry.action,
      subject: record.id,
      outcome: 'done',
      detail: { state, wave, reason, ...(entry.tally === null ? {} : { contacted, done, errors, open }) },
      from: entry.from,
    },
  };
}

/** The next campaign of a schedule, made in the very commit that ends the one before. */
function again(deps: Deps, ended: CampaignRecordRow, nowMs: number): Write[] {
  if (ended.repeat_every_days === null) return [];
  const startAtMs = nowMs + ended.repeat_every_days * DAY_MS;
  const campaign = { ...ended.campaign, state: 'SCHEDULED' as const, wave: 0, startAtMs, sinceMs: nowMs };
  const row: CampaignRecordRow = {
    ...ended,
    id: newId(deps, 'cmp'),
    campaign,
    state: 'SCHEDULED',
    due_at_ms: startAtMs,
    created_at_ms: nowMs,
    version: 1,
  };
  return [{ kind: 'insert', table: 'campaigns', row }];
}
