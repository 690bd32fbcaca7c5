import { type CampaignCommand, hasEnded, isStill, stepCampaign, type Tally } from '../../domain/campaign/index.ts';
import type { RotationCommand, RotationPlan } from '../../domain/rotation/index.ts';
import type { AuditWrite, Write } from '../../ports/metadata-store.ts';
import type { CampaignMemberRow, CampaignRecordRow, RotationRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { newId } from '../new-id.ts';
import { decideRotation } from '../rotation/decide.ts';
import { gateOf } from '../rotation/gate.ts';
import { OLD_CONTACTS_MAX_DEFAULT } from '../rotation/operate.ts';
import { loadRotation } from '../rotation/record.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { selectDevices, wavesOf } from './select.ts';

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

/** Writes down who is in which wave. A crash in the middle is mended by the next call: rows that are there stay. */
export async function enlist(deps: Deps, record: CampaignRecordRow): Promise<number> {
  const selected = await selectDevices(deps, record.account_id, record.selection);
  const generations = new Map(
    selected.map(({ device, record: rotation }) => [device.id, rotation.rotation.generation]),
  );
  const waves = wavesOf(deps, record.id, selected, record.campaign.rules);
  for (const [wave, devices] of waves.entries()) {
    for (const deviceId of devices) {
      const row: CampaignMemberRow = {
        id: `${record.id}/${deviceId}`,
        campaign_id: record.id,
        device_id: deviceId,
        wave,
        outcome: 'waiting',
        reason: null,
        asked_at_ms: null,
        contacted: false,
        base_generation: generations.get(deviceId) ?? 0,
        version: 1,
      };
      await deps.store.commit([{ kind: 'insert', table: 'campaign_members', row }]);
    }
  }
  return selected.length;
}

async function eachMember(
  deps: Deps,
  campaignId: string,
  outcome: CampaignMemberRow['outcome'],
  act: (member: CampaignMemberRow) => Promise<void>,
): Promise<void> {
  let after: string[] | null = null;
  for (;;) {
    const rows: CampaignMemberRow[] = await deps.store.list('campaign_members', {
      where: [
        ['campaign_id', '=', campaignId],
        ['outcome', '=', outcome],
      ],
      orderBy: [['device_id', 'asc']],
      ...(after === null ? {} : { after }),
      limit: PAGE_ROWS,
    });
    for (const row of rows) await act(row);
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < PAGE_ROWS) return;
    after = [last.device_id];
  }
}

/** Asks the devices of the waves that have begun, each in one commit with its rotation and the campaign as it is. */
async function askWaiting(deps: Deps, record: CampaignRecordRow): Promise<void> {
  const { state, wave } = record.campaign;
  if (isStill(state)) return;
  await eachMember(deps, record.id, 'waiting', async (member) => {
    if (member.wave > wave) return;
    await decideAndCommit(deps.store, async () => {
      const now = await deps.store.get('campaign_members', { id: member.id });
      if (now === null || now.outcome !== 'waiting') return { writes: [], answer: null };
      const device = await deps.store.get('devices', { id: member.device_id });
      if (device === null) return { writes: [ended(now, 'skipped', 'removed')], answer: null };
      const loaded = await loadRotation(deps, { id: device.id, accountId: device.account_id });
      const nowMs = deps.clock.nowMs();
      const select = { kind: 'select', plan: planFor(record, nowMs) } as const;
      const decision = await decideRotation(deps, loaded, select, { author: AUTHOR });
      if (decision.outcome.kind !== 'moved') {
        return { writes: [ended(now, 'skipped', `its rotation is ${loaded.record.state}`)], answer: null };
      }
      const gate = await gateOf(deps, decision.record);
      if (gate.paused) return { writes: [], answer: null };
      const asked: CampaignMemberRow = {
        ...now,
        outcome: 'open',
        asked_at_ms: nowMs,
        base_generation: loaded.record.rotation.generation,
        version: now.version + 1,
      };
      const writes: Write[] = [...gate.writes, ...decision.writes];
      writes.push({ kind: 'update', table: 'campaign_members', row: asked, expectVersion: now.version });
      return { writes, answer: null };
    });
  });
}

function planFor(record: CampaignRecordRow, nowMs: number): RotationPlan {
  const { source, policy, deadline_ms, soak_ms, pending_ttl_ms } = record.plan;
  return {
    source,
    campaignId: record.id,
    policy,
    deadlineAtMs: deadline_ms === null ? null : nowMs + deadline_ms,
    soakMs: soak_ms,
    pendingTtlMs: pending_ttl_ms,
    oldContactsMax: OLD_CONTACTS_MAX_DEFAULT,
  };
}

function ended(member: CampaignMemberRow, outcome: CampaignMemberRow['outcome'], reason: string | null): Write {
  const row: CampaignMemberRow = { ...member, outcome, reason, version: member.version + 1 };
  return { kind: 'update', table: 'campaign_members', row, expectVersion: member.version };
}

/** Writes down what the devices that were asked have come to; takes back what an abort or a roll-back takes back. */
async function followOpen(deps: Deps, record: CampaignRecordRow): Promise<void> {
  const { state, rules } = record.campaign;
  const order: RotationCommand | null =
    state === 'ABORTING' ? { kind: 'abort' } : state === 'ROLLING_BACK' ? { kind: 'rollBack' } : null;
  await eachMember(deps, record.id, 'open', async (member) => {
    await decideAndCommit(deps.store, async () => {
      const now = await deps.store.get('campaign_members', { id: member.id });
      if (now === null || now.outcome !== 'open') return { writes: [], answer: null };
      const device = await deps.store.get('devices', { id: member.device_id });
      if (device === null) return { writes: [ended(now, 'skipped', 'removed')], answer: null };
      const loaded = await loadRotation(deps, { id: device.id, accountId: device.account_id });
      const seenAtMs = device.last_seen_at_ms ?? 0;
      const contacted = now.contacted || seenAtMs >= (now.asked_at_ms ?? 0);
      const heard = { ...now, contacted };
      const found = outcomeOf(loaded.record, heard, {
        campaignId: record.id,
        seenAtMs,
        nowMs: deps.clock.nowMs(),
        silenceMs: rules.silenceMs,
      });
      if (found !== null) return { writes: [ended(heard, found.outcome, found.reason)], answer: null };
      if (order !== null) {
        const decision = await decideRotation(deps, loaded, order, { author: AUTHOR });
        // What is proven settles by itself after an abort; it is the device's key now, and no error.
        const reason =
          decision.outcome.kind === 'moved'
            ? order.kind === 'abort'
              ? 'aborted'
              : 'rolled back'
            : loaded.record.state;
        return { writes: [...decision.writes, ended(heard, 'skipped', reason)], answer: null };
      }
      if (contacted === now.contacted) return { writes: [], answer: null };
      const row: CampaignMemberRow = { ...heard, version: now.version + 1 };
      return { writes: [{ kind: 'update', table: 'campaign_members', row, expectVersion: now.version }], answer: null };
    });
  });
}

/** What a device that was asked has come to; null while that is open. */
function outcomeOf(
  { rotation }: RotationRecordRow,
  member: CampaignMemberRow,
  at: { campaignId: string; seenAtMs: number; nowMs: number; silenceMs: number },
): { outcome: 'done' | 'error' | 'skipped'; reason: string | null } | null {
  switch (rotation.state) {
    case 'IDLE': {
      const settled = rotation.settledGeneration !== null && rotation.settledGeneration > member.base_generation;
      return settled ? { outcome: 'done', reason: null } : { outcome: 'error', reason: 'fell back to its old key' };
    }
    case 'PROVEN':
      return at.nowMs - at.seenAtMs >= at.silenceMs ? { outcome: 'error', reason: 'silent after the proof' } : null;
    case 'QUARANTINED':
      return { outcome: 'error', reason: 'quarantined' };
    case 'LOST':
      return { outcome: 'error', reason: 'lost' };
    case 'GONE':
      return { outcome: 'skipped', reason: 'removed' };
    default:
      return rotation.campaignId === at.campaignId ? null : { outcome: 'error', reason: 'another rotation took over' };
  }
}

/** Counts the campaign's devices. */
export async function tallyOf(deps: Deps, record: CampaignRecordRow): Promise<Tally> {
  const tally: Tally = {
    waiting: 0,
    open: 0,
    openContacted: 0,
    contacted: 0,
    done: 0,
    errors: 0,
    limbo: 0,
    waveContacted: 0,
    waveMembers: 0,
  };
  for (const outcome of ['waiting', 'open', 'done', 'error', 'skipped'] as const) {
    await eachMember(deps, record.id, outcome, async (member) => {
      if (outcome === 'waiting') tally.waiting += 1;
      if (outcome === 'open') tally.open += 1;
      if (outcome === 'done') tally.done += 1;
      if (outcome === 'error') tally.errors += 1;
      const counts = outcome !== 'skipped' && outcome !== 'waiting';
      const contacted = counts && (member.contacted || outcome === 'done' || outcome === 'error');
      if (contacted) tally.contacted += 1;
      const ofWave = member.wave === record.campaign.wave && outcome !== 'skipped';
      if (ofWave) tally.waveMembers += 1;
      if (ofWave && contacted) tally.waveContacted += 1;
      if (ofWave && contacted && outcome === 'open') tally.openContacted += 1;
      if (outcome !== 'open') return;
      const rotation = await deps.store.get('rotations', { device_id: member.device_id });
      if ((rotation?.limbo_at_ms ?? -1) >= (member.asked_at_ms ?? 0)) tally.limbo += 1;
    });
  }
  return tally;
}
