import { type CampaignAnswer, type CampaignPreflight, STATUS_REPORTS_PER_WINDOW } from '#sdk/protocol';
import { type CampaignCommand, type CampaignRules, hasEnded } from '../../domain/campaign/index.ts';
import type { CampaignKind, CampaignRecordRow, CampaignSelection } from '../../ports/tables.ts';
import { actorOf, type Caller, requireAccountKey, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { findFirmware } from '../firmware/firmware-images.ts';
import { newId } from '../new-id.ts';
import { newestFirst, type PageQuery } from '../paging.ts';
import { planOf, type RotateDevice } from '../rotation/operate.ts';
import { auditOfCampaign, commandCampaign } from './drive.ts';
import { enlist } from './enlist.ts';
import { rollOutOf } from './kinds.ts';
import { selectDevices, wavesOf } from './select.ts';
import { tallyOf } from './tally.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Names listed in a preflight; the totals count all. */
const NAMES_MAX = 50;
/** Reports and registrations a rotation takes within a minute. */
const REPORTS_A_ROTATION = 4;
const NAME_CHARS_MAX = 100;
const REPEAT_DAYS_MAX = 3650;

/** What a campaign does unless it is told otherwise: slow enough to be stopped, fast enough to end within the day. */
export const RULES_DEFAULT: CampaignRules = {
  canary: 5,
  growth: 3,
  soakMs: 15 * MINUTE_MS,
  errorsPercentMax: 5,
  sampleMin: 5,
  silenceMs: 6 * 60 * MINUTE_MS,
  waveMsMax: DAY_MS,
  stragglersMsMax: 30 * DAY_MS,
};

const RULE_LIMITS: Readonly<Record<keyof CampaignRules, readonly [min: number, max: number]>> = {
  canary: [1, 100_000],
  growth: [1, 100],
  soakMs: [0, 30 * DAY_MS],
  errorsPercentMax: [0, 100],
  sampleMin: [1, 100_000],
  silenceMs: [MINUTE_MS, 366 * DAY_MS],
  waveMsMax: [MINUTE_MS, 366 * DAY_MS],
  stragglersMsMax: [0, 366 * DAY_MS],
};

export interface NewCampaign {
  name: string;
  selection: CampaignSelection;
  rules?: Partial<CampaignRules> | undefined;
  plan?: RotateDevice | undefined;
  repeatEveryDays?: number | undefined;
  /** `keys` unless it is said; what another kind carries to its devices. */
  kind?: CampaignKind | undefined;
  cargo?: Record<string, unknown> | undefined;
  /** An image, by id or release: the campaign rolls it out instead of keys. */
  firmware?: string | undefined;
}

function invalid(field: string, detail: string): FuselinkError {
  return new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}

function checkedRules(given: Partial<CampaignRules>): CampaignRules {
  const rules = { ...RULES_DEFAULT };
  for (const [name, [min, max]] of Object.entries(RULE_LIMITS) as [keyof CampaignRules, [number, number]][]) {
    const value = given[name];
    if (value === undefined) continue;
    if (!Number.isFinite(value) || value < min || value > max) {
      throw invalid(name, `expected ${min} to ${max}, got ${value}`);
    }
    rules[name] = value;
  }
  return rules;
}

/** A campaign in DRAFT: nothing happens before it is started or scheduled. */
export async function createCampaign(deps: Deps, caller: Caller, what: NewCampaign): Promise<CampaignAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const name = what.name.trim();
  if (name === '' || name.length > NAME_CHARS_MAX)
    throw invalid('name', `expected 1 to ${NAME_CHARS_MAX} characters, got ${name.length}`);
  const repeat = what.repeatEveryDays ?? null;
  if (repeat !== null && (!Number.isInteger(repeat) || repeat < 1 || repeat > REPEAT_DAYS_MAX)) {
    throw invalid('repeat_every_days', `expected 1 to ${REPEAT_DAYS_MAX}, got ${repeat}`);
  }
  const image = what.firmware === undefined ? null : await findFirmware(deps, caller, what.firmware);
  const nowMs = deps.clock.nowMs();
  const plan = planOf(what.plan ?? {}, { nowMs, campaignId: null });
  if (plan.source === 'manual')
    throw invalid('source', 'expected self or offer, got manual: a campaign carries no keys about');
  const row: CampaignRecordRow = {
    id: newId(deps, 'cmp'),
    account_id: caller.accountId,
    name,
    kind: image === null ? (what.kind ?? 'keys') : 'firmware',
    cargo: image === null ? (what.cargo ?? null) : { image_id: image.id },
    campaign: {
      state: 'DRAFT',
      resumeTo: null,
      reason: null,
      wave: 0,
      startAtMs: null,
      sinceMs: nowMs,
      rules: checkedRules(what.rules ?? {}),
    },
    state: 'DRAFT',
    selection: what.selection,
    plan: {
      source: plan.source,
      policy: plan.policy,
      deadline_ms: what.plan?.deadlineMs ?? null,
      soak_ms: plan.soakMs,
      pending_ttl_ms: plan.pendingTtlMs,
    },
    repeat_every_days: repeat,
    due_at_ms: null,
    created_at_ms: nowMs,
    created_by: actorOf(caller),
    version: 1,
  };
  const author = { actor: actorOf(caller), from: caller.from, action: 'campaign.created', nowMs, tally: null };
  await deps.store.commit([{ kind: 'insert', table: 'campaigns', row }, auditOfCampaign(row, author)]);
  return campaignAnswer(deps, row);
}

/** The account's campaign; throws `not_found` for every other one. */
export async function findCampaign(deps: Deps, caller: Caller, id: string): Promise<CampaignRecordRow> {
  requireAccountKey(caller);
  const record = await deps.store.get('campaigns', { id });
  if (record !== null && record.account_id === caller.accountId) return record;
  throw new FuselinkError('not_found', 'There is no such campaign.');
}

export async function lookAtCampaign(deps: Deps, caller: Caller, id: string): Promise<CampaignAnswer> {
  return campaignAnswer(deps, await findCampaign(deps, caller, id));
}

/** A page of the account's campaigns, newest first. */
export async function listCampaigns(
  deps: Deps,
  caller: Caller,
  query: PageQuery,
): Promise<{ campaigns: CampaignAnswer[]; next_cursor: string | null }> {
  requireAccountKey(caller);
  const page = await newestFirst(deps.store, 'campaigns', [['account_id', '=', caller.accountId]], query);
  return {
    campaigns: await Promise.all(page.rows.map((row) => campaignAnswer(deps, row))),
    next_cursor: page.next_cursor,
  };
}

async function campaignAnswer(deps: Deps, row: CampaignRecordRow): Promise<CampaignAnswer> {
  const { campaign, plan } = row;
  const { waiting, open, contacted, done, errors, limbo } = await tallyOf(deps, row);
  return {
    id: row.id,
    name: row.name,
    kind: row.kind === '' ? 'keys' : row.kind,
    state: campaign.state,
    reason: campaign.reason,
    wave: campaign.wave,
    selection: { ...row.selection },
    source: plan.source,
    policy: plan.policy,
    starts_at: campaign.startAtMs === null ? null : new Date(campaign.startAtMs).toISOString(),
    since: new Date(campaign.sinceMs).toISOString(),
    repeat_every_days: row.repeat_every_days,
    created_at: new Date(row.created_at_ms).toISOString(),
    created_by: row.created_by,
    progress: { waiting, open, contacted, done, errors, limbo },
  };
}

export const CAMPAIGN_VERBS = ['start', 'schedule', 'pause', 'resume', 'abort', 'roll-back'] as const;
export type CampaignVerb = (typeof CAMPAIGN_VERBS)[number];

/** Orders a campaign about. Throws `rotation_state_conflict` where its state does not allow it. */
export async function orderCampaign(
  deps: Deps,
  caller: Caller,
  id: string,
  order: { verb: CampaignVerb; reason?: string | undefined; startAtMs?: number | undefined },
): Promise<CampaignAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const record = await findCampaign(deps, caller, id);
  const { state } = record.campaign;
  const command: CampaignCommand =
    order.verb === 'resume'
      ? { kind: 'resume', tally: await tallyOf(deps, record) }
      : commandOf({ ...order, verb: order.verb }, deps.clock.nowMs());
  if (command.kind === 'start' && (state === 'DRAFT' || state === 'SCHEDULED')) {
    // Written down first, so that it never runs without its devices.
    if ((await enlist(deps, record)) === 0) throw invalid('selection', 'expected at least one device, got none');
  }
  const author = { actor: actorOf(caller), from: caller.from };
  const after = await commandCampaign(deps, id, command, author);
  if (after === null) throw new FuselinkError('not_found', 'There is no such campaign.');
  if (after.campaign.state === state) {
    throw new FuselinkError(
      'rotation_state_conflict',
      `Expected a state in which ${order.verb} is possible, got ${state}.`,
    );
  }
  return campaignAnswer(deps, after);
}

function commandOf(
  {
    verb,
    reason,
    startAtMs,
  }: { verb: Exclude<CampaignVerb, 'resume'>; reason?: string | undefined; startAtMs?: number | undefined },
  nowMs: number,
): CampaignCommand {
  switch (verb) {
    case 'start':
    case 'abort':
      return { kind: verb };
    case 'roll-back':
      return { kind: 'rollBack' };
    case 'pause':
      return { kind: 'pause', reason: (reason ?? 'by hand').slice(0, 200) };
    case 'schedule':
      if (startAtMs === undefined || !Number.isFinite(startAtMs) || startAtMs < nowMs) {
        throw invalid('starts_at', 'expected a time in the future, got none or one in the past');
      }
      return { kind: 'schedule', startAtMs };
  }
}

/** What the campaign would do: who, how many, how long, who is offline, who would be locked out. Changes nothing. */
export async function preflight(deps: Deps, caller: Caller, id: string): Promise<CampaignPreflight> {
  const record = await findCampaign(deps, caller, id);
  if (hasEnded(record.campaign.state)) {
    throw new FuselinkError(
      'rotation_state_conflict',
      `Expected a campaign that is not over, got ${record.campaign.state}.`,
    );
  }
  const nowMs = deps.clock.nowMs();
  const selected = await selectDevices(deps, record.account_id, record.selection);
  const rollOut = rollOutOf(record.kind);
  let busy = 0;
  let withoutRecovery = 0;
  for (const { device } of selected) {
    const ready = await rollOut.readiness(deps, device);
    if (ready.busy) busy += 1;
    if (!ready.recoverable) withoutRecovery += 1;
  }
  const { rules } = record.campaign;
  const { policy, deadline_ms } = record.plan;
  const unheardFor = (ms: number) =>
    selected.filter(({ device }) => nowMs - (device.last_seen_at_ms ?? 0) >= ms).map(({ device }) => device.name);
  const offline = unheardFor(DAY_MS);
  const lockedOut = policy === 'keep' || deadline_ms === null ? [] : unheardFor(deadline_ms);
  const waves = wavesOf(deps, record.id, selected, rules);
  const names = new Map(selected.map(({ device }) => [device.id, device.name]));
  return {
    devices: selected.length,
    waves: waves.map((wave) => wave.length),
    canary: (waves[0] ?? []).slice(0, NAMES_MAX).map((id) => names.get(id) ?? id),
    seconds_min: Math.ceil((waves.length * (rules.soakMs + record.plan.soak_ms)) / 1000),
    offline: offline.slice(0, NAMES_MAX),
    offline_total: offline.length,
    busy_total: busy,
    without_recovery_total: withoutRecovery,
    locked_out: lockedOut.sort().slice(0, NAMES_MAX),
    locked_out_total: lockedOut.length,
    within_caps: STATUS_REPORTS_PER_WINDOW >= REPORTS_A_ROTATION,
  };
}
