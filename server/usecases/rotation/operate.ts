import { KEY_BYTES, RECOVERY_SECRET_BYTES, type RotationAnswer } from '#sdk/protocol';
import { toHex } from '../../domain/base64url.ts';
import { keyHex } from '../../domain/credential/api-key.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { DeadlinePolicy, RotationCommand, RotationPlan, RotationSource } from '../../domain/rotation/index.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { DeviceRow, RotationRecordRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { sealDeviceSecret } from '../device/device-secret.ts';
import { FuselinkError } from '../error.ts';
import { keyHolderOf } from '../gateway/held-keys.ts';
import { fingerprintOfKey, hashOfKey } from '../key/mint-key.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { decideRotation, type NewDeviceKey } from './decide.ts';
import { gateOf } from './gate.ts';
import { authorOf } from './hear.ts';
import { loadRotation } from './record.ts';
import { sealRecovery } from './recover.ts';

const DAY_MS = 86_400_000;
/** A staged key that is not proven within this time is revoked, and another asked for: devices sleep for weeks. */
export const PENDING_TTL_MS_DEFAULT = 30 * DAY_MS;
/** How long the old key stays usable after the proof: enough for what was under way. */
export const SOAK_MS_DEFAULT = 10 * 60_000;
/** Contacts under the old key with none under the new, after which the device has lost its candidate. */
export const OLD_CONTACTS_MAX_DEFAULT = 20;
const TIME_MS_MAX = 366 * DAY_MS;

export interface RotateDevice {
  source?: RotationSource | undefined;
  policy?: DeadlinePolicy | undefined;
  /** From now; absent: no deadline. */
  deadlineMs?: number | undefined;
  soakMs?: number | undefined;
  pendingTtlMs?: number | undefined;
}

/** The plan of a rotation, checked: throws `invalid_field`. */
export function planOf(what: RotateDevice, at: { nowMs: number; campaignId: string | null }): RotationPlan {
  const times = { deadline: what.deadlineMs, soak: what.soakMs, pending_ttl: what.pendingTtlMs };
  for (const [field, ms] of Object.entries(times)) {
    if (ms === undefined || (Number.isInteger(ms) && ms >= 0 && ms <= TIME_MS_MAX)) continue;
    const detail = `expected at most ${TIME_MS_MAX / DAY_MS} days, got ${ms / 1000} s`;
    throw new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
  }
  if ((what.policy ?? 'keep') !== 'keep' && what.deadlineMs === undefined) {
    const detail = 'expected a deadline with a policy other than keep, got none';
    throw new FuselinkError('invalid_field', `deadline: ${detail}.`, { errors: [{ field: 'deadline', detail }] });
  }
  return {
    source: what.source ?? 'self',
    campaignId: at.campaignId,
    policy: what.policy ?? 'keep',
    deadlineAtMs: what.deadlineMs === undefined ? null : at.nowMs + what.deadlineMs,
    soakMs: what.soakMs ?? SOAK_MS_DEFAULT,
    pendingTtlMs: what.pendingTtlMs ?? PENDING_TTL_MS_DEFAULT,
    oldContactsMax: OLD_CONTACTS_MAX_DEFAULT,
  };
}

export function rotationAnswer(record: RotationRecordRow): RotationAnswer {
  const { rotation, report } = record;
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    device_id: record.device_id,
    state: rotation.state,
    generation: rotation.generation,
    source: rotation.source,
    active: rotation.active,
    pending: rotation.pending,
    retiring: rotation.retiring,
    incident: rotation.incident,
    campaign_id: rotation.campaignId,
    deadline_at: iso(rotation.deadlineAtMs),
    pending_expires_at: iso(rotation.pendingExpiresAtMs),
    soak_until: iso(rotation.soakUntilMs),
    proposals: rotation.proposals,
    reported:
      report === null
        ? null
        : { at: iso(report.at_ms) ?? '', phase: report.phase, boot: report.boot, sequence: report.sequence },
    limbo_since: iso(record.limbo_at_ms),
  };
}

/** The device, if it is the caller's account's; throws `not_found` for every other one. */
export async function findDevice(deps: Deps, caller: Caller, id: DeviceId): Promise<DeviceRow> {
  requireAccountKey(caller);
  const device = await deps.store.get('devices', { id });
  if (device !== null && device.account_id === caller.accountId) return device;
  throw new FuselinkError('not_found', 'There is no such device.');
}

/** How the device's key stands. */
export async function lookAtRotation(deps: Deps, caller: Caller, id: DeviceId): Promise<RotationAnswer> {
  const device = await findDevice(deps, caller, id);
  const { record } = await loadRotation(deps, { id: device.id, accountId: device.account_id });
  return { ...rotationAnswer(record), key_held_by: await keyHolderOf(deps, device.id) };
}

/** What an operator may order one device's rotation to do. */
export type OperatorOrder =
  | { verb: 'rotate'; plan: RotateDevice }
  | { verb: 'abort' }
  | { verb: 'roll-back' }
  | { verb: 'quarantine'; reason: string }
  | { verb: 'release' }
  | { verb: 'approve'; fingerprint: string }
  | { verb: 'lose'; reason: string };

export const OPERATOR_VERBS = ['rotate', 'abort', 'roll-back', 'quarantine', 'release', 'approve', 'lose'] as const;

/** Carries out an order. Throws `rotation_state_conflict` where the device's state does not allow it. */
export async function orderRotation(
  deps: Deps,
  caller: Caller,
  id: DeviceId,
  order: OperatorOrder,
): Promise<RotationAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const device = await findDevice(deps, caller, id);
  const command = commandOf(order, deps.clock.nowMs());
  return rotationAnswer((await carryOut(deps, caller, device, command, {})).record);
}

function commandOf(order: OperatorOrder, nowMs: number): RotationCommand {
  switch (order.verb) {
    case 'rotate':
      return { kind: 'select', plan: planOf(order.plan, { nowMs, campaignId: null }) };
    case 'abort':
      return { kind: 'abort' };
    case 'roll-back':
      return { kind: 'rollBack' };
    case 'quarantine':
      return { kind: 'quarantine', reason: order.reason };
    case 'release':
      return { kind: 'release' };
    case 'approve':
      return { kind: 'approve', fingerprint: order.fingerprint };
    case 'lose':
      return { kind: 'lose', reason: order.reason };
  }
}

async function carryOut(
  deps: Deps,
  caller: Caller,
  device: DeviceRow,
  command: RotationCommand,
  what: { newKey?: NewDeviceKey; also?: (record: RotationRecordRow) => Write[]; sealedRecovery?: Uint8Array },
): Promise<{ record: RotationRecordRow }> {
  return decideAndCommit(deps.store, async () => {
    const loaded = await loadRotation(deps, { id: device.id, accountId: device.account_id });
    const gate = await gateOf(deps, loaded.record);
    const asked = 'paused' in command ? { ...command, paused: gate.paused } : command;
    const { newKey } = what;
    // A key that was staged in quarantine is not on record yet: its digest came with the proposal.
    const decision = await decideRotation(deps, loaded, asked, {
      author: authorOf(caller),
      paused: gate.paused,
      ...(newKey === undefined ? {} : { newKey }),
      ...(what.sealedRecovery === undefined ? {} : { also: { sealed_recovery: what.sealedRecovery } }),
    });
    const { reply } = decision.outcome;
    if (decision.outcome.kind !== 'moved') throw refusedOrder(loaded.record, command, reply);
    const writes = [...gate.writes, ...decision.writes, ...(what.also?.(decision.record) ?? [])];
    return { writes, answer: { record: decision.record } };
  });
}

function refusedOrder(record: RotationRecordRow, command: RotationCommand, reply: string): FuselinkError {
  if (reply === 'wait') {
    return new FuselinkError('rotation_paused', 'Rotations are paused: no key is minted until they go on.');
  }
  const { rotation } = record;
  const halfway =
    command.kind === 'release' && rotation.state === 'QUARANTINED'
      ? ' It was quarantined halfway through a rotation: nobody knows which of two keys the device has. Approve the key it stages, or let it recover.'
      : '';
  return new FuselinkError(
    'rotation_state_conflict',
    `Expected a state in which ${command.kind} is possible, got ${rotation.state}${rotation.incident ? ' in an incident' : ''}.${halfway}`,
  );
}

export interface IssuedKey {
  rotation: RotationAnswer;
  /** The key's text, shown once: for the operator to carry to the device. */
  key: string;
  fingerprint: string;
  generation: number;
}

/** Draws the key of a `manual` rotation; an operator carries it to the device, and its use there is the proof. */
export async function issueKey(deps: Deps, caller: Caller, id: DeviceId): Promise<IssuedKey> {
  requireManagement(caller);
  requireWriter(caller);
  const device = await findDevice(deps, caller, id);
  const { key, newKey } = drawKey(deps, device.id);
  const command = { kind: 'issue', fingerprint: newKey.fingerprint, paused: false } as const;
  const { record } = await carryOut(deps, caller, device, command, { newKey });
  const { generation } = record.rotation;
  return { rotation: rotationAnswer(record), key, fingerprint: newKey.fingerprint, generation };
}

/** A new key and recovery secret for a device that was lost, shown once: somebody puts them on it by hand. */
export async function reprovisionDevice(
  deps: Deps,
  caller: Caller,
  id: DeviceId,
): Promise<IssuedKey & { recoverySecret: string }> {
  requireManagement(caller);
  requireWriter(caller);
  const device = await findDevice(deps, caller, id);
  const { key, newKey } = drawKey(deps, device.id);
  const secret = deps.random.bytes(RECOVERY_SECRET_BYTES);
  const { record } = await carryOut(
    deps,
    caller,
    device,
    { kind: 'reprovision', fingerprint: newKey.fingerprint },
    { newKey, sealedRecovery: sealRecovery(deps, device.id, secret) },
  );
  return {
    rotation: rotationAnswer(record),
    key,
    fingerprint: newKey.fingerprint,
    generation: record.rotation.generation,
    recoverySecret: toHex(secret),
  };
}

function drawKey(deps: Deps, id: DeviceId): { key: string; newKey: NewDeviceKey } {
  const bytes = deps.random.bytes(KEY_BYTES);
  const key = keyHex(bytes);
  return {
    key,
    newKey: {
      fingerprint: fingerprintOfKey(deps.crypto, bytes),
      hash: hashOfKey(deps.crypto, bytes),
      prefix: key.slice(0, 8),
      sealedDeviceSecret: sealDeviceSecret(deps, id, bytes),
    },
  };
}

/** Removes a device for good: every key revoked, the record kept for its story. */
export async function removeDevice(deps: Deps, caller: Caller, id: DeviceId): Promise<RotationAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const device = await findDevice(deps, caller, id);
  const { record } = await carryOut(
    deps,
    caller,
    device,
    { kind: 'remove' },
    {
      also: () => [
        { kind: 'delete', table: 'devices', key: device.id, expectVersion: device.version },
        auditOf(caller, deps.clock.nowMs(), {
          action: 'device.removed',
          subject: device.id,
          detail: { name: device.name },
        }),
      ],
    },
  );
  return rotationAnswer(record);
}
