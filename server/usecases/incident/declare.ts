import type { IncidentReport } from '#sdk/protocol';
import type { RotationSource } from '../../domain/rotation/index.ts';
import { auditOf, type Caller, requireManagement, requireWriter } from '../caller.ts';
import { createCampaign, orderCampaign } from '../campaign/manage.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { burnUnread } from '../key/burn-unread.ts';
import { revokeKey } from '../key/manage-keys.ts';
import { findDevice, orderRotation } from '../rotation/operate.ts';
import { type Evidence, gatherEvidence } from './evidence.ts';
import { findKeyThatIsOut, type KeyThatIsOut } from './find-key.ts';
import { keyOf, type Reach, reachOf, type Scope, type SentUnder, sentUnder } from './reach.ts';
import { incidentLines } from './report-lines.ts';

export const INCIDENT_ACTIONS = ['quarantine', 'revoke'] as const;
export const INCIDENT_SCOPES: readonly Scope[] = ['person-and-place', 'person', 'place', 'none'];
/** Devices listed in a report; the total counts all, and all are rotated. */
const DEVICES_LISTED_MAX = 500;
const REASON_CHARS_MAX = 200;
/** States of a device whose key needs no stopping any more. */
const STOPPED: readonly string[] = ['QUARANTINED', 'LOST', 'GONE'];

export interface DeclareIncident {
  /** Id or fingerprint of the key, or id or name of the device. */
  key: string;
  reason: string;
  /** A device key is quarantined unless it is to be revoked; every other key can only be revoked. */
  action?: (typeof INCIDENT_ACTIONS)[number] | undefined;
  burnUnread?: boolean | undefined;
  rotate?: Scope | undefined;
  source?: RotationSource | undefined;
  /** Nothing is changed unless this is false. */
  dryRun?: boolean | undefined;
}

/** In this order: the key first, then what it sent, then everything that may have been seen with it. */
interface Steps {
  outcome: string;
  burned: number;
  campaignId: string | null;
}

/**
 * A key is out. Stops it, burns what nobody has read of what it sent, rotates everything the same people or place had, and
 * reports what may be compromised. A dry run changes nothing and reports the same. May be repeated: what a crash cut short
 * is done by the next call, and what is done already is left.
 */
export async function declareIncident(deps: Deps, caller: Caller, what: DeclareIncident): Promise<IncidentReport> {
  requireManagement(caller);
  requireWriter(caller);
  const reason = what.reason.trim().slice(0, REASON_CHARS_MAX);
  if (reason === '') {
    const detail = 'expected what happened in a few words, got nothing';
    throw new FuselinkError('invalid_field', `reason: ${detail}.`, { errors: [{ field: 'reason', detail }] });
  }
  const out = await findKeyThatIsOut(deps, caller, what.key);
  const evidence = await gatherEvidence(deps, caller.accountId, out);
  const scope = what.rotate ?? 'person-and-place';
  const reach = await reachOf(deps, caller, { out, evidence, scope });
  const sent = await sentUnder(deps, out.key.id);
  const action = out.key.kind === 'device' ? (what.action ?? 'quarantine') : 'revoke';
  const stopped = await isStopped(deps, caller, out);
  const dryRun = what.dryRun !== false;
  const steps: Steps = { outcome: stopped ? 'stopped-already' : 'would-stop', burned: 0, campaignId: null };
  if (!dryRun) {
    await note(deps, caller, out, 'incident.declared', { action, rotate: scope, reason });
    if (!stopped) await stop(deps, caller, { out, action, reason });
    if (!stopped) steps.outcome = 'stopped';
    if (what.burnUnread !== false) steps.burned = await burnUnread(deps, caller, { keyId: out.key.id });
    steps.campaignId = await rotateAll(deps, caller, { out, reach, source: what.source });
    const { outcome, burned, campaignId: campaign } = steps;
    await note(deps, caller, out, 'incident.contained', { outcome, burned, devices: reach.devices.length, campaign });
  }
  return reportOf(deps, { out, evidence, reach, sent, action, steps, dryRun });
}

async function note(
  deps: Deps,
  caller: Caller,
  { key }: KeyThatIsOut,
  action: string,
  detail: Record<string, unknown>,
): Promise<void> {
  const subject = key.device_id ?? key.id;
  await deps.store.commit([
    auditOf(caller, deps.clock.nowMs(), {
      action,
      subject,
      detail: { key: key.id, fingerprint: key.fingerprint, ...detail },
    }),
  ]);
}

/** A device is stopped as a whole: whoever held an earlier key of it may have registered the present one. */
async function isStopped(deps: Deps, caller: Caller, { key, device }: KeyThatIsOut): Promise<boolean> {
  if (key.kind !== 'device') return key.state === 'revoked';
  if (device === null) return true;
  await findDevice(deps, caller, device.id);
  const record = await deps.store.get('rotations', { device_id: device.id });
  return record !== null && STOPPED.includes(record.state);
}

async function stop(
  deps: Deps,
  caller: Caller,
  { out, action, reason }: { out: KeyThatIsOut; action: string; reason: string },
): Promise<void> {
  if (out.device !== null) {
    const verb = action === 'revoke' ? 'lose' : 'quarantine';
    await orderRotation(deps, caller, out.device.id, { verb, reason });
    return;
  }
  await revokeKey(deps, caller, { id: out.key.id, confirmLast: true });
}

/** One campaign over all of them: with canary, thresholds and pause, for haste must not lock a fleet out. */
async function rotateAll(
  deps: Deps,
  caller: Caller,
  { out, reach, source }: { out: KeyThatIsOut; reach: Reach; source: RotationSource | undefined },
): Promise<string | null> {
  const devices = reach.devices.filter(({ state }) => !STOPPED.includes(state)).map(({ id }) => id as string);
  if (devices.length === 0) return null;
  const name = `incident ${out.key.fingerprint}`;
  const earlier = await deps.store.list('campaigns', {
    where: [
      ['account_id', '=', caller.accountId],
      ['name', '=', name],
      ['state', 'in', ['DRAFT', 'CANARY', 'SOAK', 'WAVE', 'STRAGGLERS', 'PAUSED']],
    ],
    orderBy: [
      ['created_at_ms', 'desc'],
      ['id', 'desc'],
    ],
    limit: 1,
  });
  const [running] = earlier;
  const id = running?.id ?? (await createCampaign(deps, caller, { name, selection: { devices }, plan: { source } })).id;
  if (running === undefined || running.state === 'DRAFT') await orderCampaign(deps, caller, id, { verb: 'start' });
  return id;
}

function reportOf(
  deps: Deps,
  at: {
    out: KeyThatIsOut;
    evidence: Evidence;
    reach: Reach;
    sent: SentUnder;
    action: string;
    steps: Steps;
    dryRun: boolean;
  },
): IncidentReport {
  const { out, evidence, reach, sent, steps } = at;
  const report: IncidentReport = {
    dry_run: at.dryRun,
    at: new Date(deps.clock.nowMs()).toISOString(),
    key: { ...keyOf(out.key), state: out.key.state, device_id: out.key.device_id },
    action: at.action,
    outcome: steps.outcome,
    seen_by: evidence.seenBy,
    addresses: evidence.addresses,
    gateways: reach.gateways.map(({ name }) => name),
    devices: reach.devices.slice(0, DEVICES_LISTED_MAX),
    devices_total: reach.devices.length,
    keys: reach.keys,
    sign_ins: evidence.signIns,
    sign_ins_total: evidence.signInsTotal,
    transfers: sent.transfers,
    transfers_total: sent.total,
    unread_total: sent.unread,
    read_total: sent.read,
    burned: steps.burned,
    campaign_id: steps.campaignId,
    lines: [],
  };
  return { ...report, lines: incidentLines(report, out.device?.name ?? out.gateway?.name ?? null) };
}
