import type { RotationTold } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import { type Alarm, type RotationCommand, type Telling, tellDevice } from '../../domain/rotation/index.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { KeyRow, RotationRecordRow } from '../../ports/tables.ts';
import { actorOf, type Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { type Decision, decideRotation } from './decide.ts';
import { pausedFor } from './gate.ts';
import { loadRotation } from './record.ts';

/** A device's own request, made with one of its own keys: the only kind that moves a rotation. */
export interface DeviceCaller extends Caller {
  deviceId: DeviceId;
  device: NonNullable<Caller['device']>;
}

/** Whether the request is the device's own. A gateway's is not, nor that of a sign-in. */
export function isDevice(caller: Caller): caller is DeviceCaller {
  return caller.device !== undefined && caller.deviceId !== null && caller.key.kind === 'device';
}

export interface Proof {
  writes: Write[];
  /** To be called when the writes have been committed. */
  committed(): void;
  /** Whether the rotation has changed since: then the writes have to be made anew. */
  moved(): Promise<boolean>;
}

/**
 * The writes that make a commit of the device the proof of the key it was made with. They ride in that very commit, so
 * that there is no moment at which the upload is stored and the proof is not. For callers that are no device: none.
 */
export async function proofWrites(deps: Deps, caller: Caller): Promise<Proof> {
  if (!isDevice(caller)) return { writes: [], committed: () => {}, moved: async () => false };
  const decision = await decideCommit(deps, caller, false, {});
  const { version } = decision.loaded.record;
  return {
    writes: decision.writes,
    committed: () => noteCommit(caller, decision.outcome.alarms),
    async moved() {
      const now = await deps.store.get('rotations', { device_id: caller.deviceId });
      return (now?.version ?? 0) !== (decision.loaded.stored ? version : 0);
    },
  };
}

/** The device's commit as a command, decided on its row as it is now. */
export async function decideCommit(
  deps: Deps,
  caller: DeviceCaller,
  reportsProven: boolean,
  also: Partial<Pick<RotationRecordRow, 'report' | 'limbo_at_ms'>>,
): Promise<Decision & { loaded: Awaited<ReturnType<typeof loadRotation>> }> {
  const loaded = await loadRotation(deps, { id: caller.deviceId, accountId: caller.accountId });
  const decision = await decideRotation(
    deps,
    loaded,
    { kind: 'commit', by: caller.key.fingerprint, position: caller.device.position, reportsProven },
    { author: authorOf(caller), also: { ...healed(loaded.record), ...also } },
  );
  return { ...decision, loaded };
}

export function noteCommit(caller: DeviceCaller, alarms: readonly Alarm[]): void {
  caller.device.committed = true;
  caller.device.alarms.push(...alarms);
}

/** A device that is heard under a key that holds is not in LIMBO. */
function healed(record: RotationRecordRow): Partial<RotationRecordRow> {
  return record.limbo_at_ms === null ? {} : { limbo_at_ms: null };
}

export function authorOf(caller: Caller): { actor: string; from: string } {
  return { actor: actorOf(caller), from: caller.from };
}

/**
 * What follows every request of a device, whatever came of it: it counts as a contact unless it was a commit, an alarm
 * quarantines where the account wants that, and what the device is to be told is returned. For others: nothing.
 */
export async function afterDeviceRequest(deps: Deps, caller: Caller): Promise<RotationTold[]> {
  if (!isDevice(caller)) return [];
  const device = { id: caller.deviceId, accountId: caller.accountId };
  if (!caller.device.committed) {
    const { fingerprint: by } = caller.key;
    const { position } = caller.device;
    const alarms = await decideAndCommit(deps.store, async () => {
      const loaded = await loadRotation(deps, device);
      const context = { author: authorOf(caller), also: healed(loaded.record) };
      const { outcome, writes } = await decideRotation(deps, loaded, { kind: 'contact', by, position }, context);
      return { writes, answer: outcome.alarms };
    });
    noteCommit(caller, alarms);
  }
  await quarantineOnAlarm(deps, caller.accountId, caller.deviceId, caller.device.alarms);
  return tellCaller(deps, caller);
}

/** Quarantines the device where its account wants a suspicion of a copied key to do that. */
export async function quarantineOnAlarm(
  deps: Deps,
  accountId: Caller['accountId'],
  id: DeviceId,
  alarms: readonly Alarm[],
): Promise<void> {
  const [alarm] = alarms;
  if (alarm === undefined) return;
  const account = await deps.store.get('accounts', { id: accountId });
  if (account?.settings.alarms_quarantine !== true) return;
  await commandRotation(deps, { id, accountId }, { kind: 'quarantine', reason: alarm });
}

/** A command nobody waits for an answer to: from an alarm, from the passing of time. */
export async function commandRotation(
  deps: Deps,
  device: { id: DeviceId; accountId: Caller['accountId'] },
  command: RotationCommand,
): Promise<void> {
  await decideAndCommit(deps.store, async () => {
    const loaded = await loadRotation(deps, device);
    const author = { actor: 'rotation', from: 'local' };
    const { writes } = await decideRotation(deps, loaded, command, { author });
    return { writes, answer: null };
  });
}

/** What the device is told now, as the key of its request stands now. */
export async function tellCaller(deps: Deps, caller: DeviceCaller): Promise<RotationTold[]> {
  const { record } = await loadRotation(deps, { id: caller.deviceId, accountId: caller.accountId });
  const key = await deps.store.get('api_keys', { id: caller.key.id });
  return key === null ? [] : toldOf(tellingTo(caller, await tellingFor(deps, record, key)), key.fingerprint);
}

export async function tellingFor(deps: Deps, record: RotationRecordRow, key: KeyRow): Promise<Telling> {
  const paused = await pausedFor(deps, record);
  return tellDevice(record.rotation, { fingerprint: key.fingerprint, keyState: key.state, paused });
}

/**
 * A telling as this device can follow it: one that signs its requests cannot register a key the server has never seen, so
 * where it would mint one it is to ask for one.
 */
export function tellingTo(caller: Caller, telling: Telling): Telling {
  const { wanted } = telling;
  if (caller.deviceSecret === undefined || wanted?.source !== 'self' || wanted.recovery) return telling;
  return { ...telling, wanted: { ...wanted, source: 'offer' } };
}

/** A telling as the items of the header field. `fingerprint`: of the key of the request. */
export function toldOf(telling: Telling, fingerprint: string): RotationTold[] {
  const told: RotationTold[] = [];
  const { settledGeneration, wanted, recoverableGeneration } = telling;
  if (settledGeneration !== null) told.push({ kind: 'settled', generation: settledGeneration });
  if (wanted !== null) told.push({ kind: 'wanted', ...wanted });
  if (recoverableGeneration !== null) {
    told.push({ kind: 'recoverable', generation: recoverableGeneration, base: fingerprint });
  }
  return told;
}
