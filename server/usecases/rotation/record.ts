import type { AccountId, DeviceId } from '../../domain/ids.ts';
import { type DeviceKeyState, enrolled, type RotationRow } from '../../domain/rotation/index.ts';
import type { KeyRow, RotationRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

/** Key states that are not the end of a key. */
export const LIVING_KEY_STATES: readonly DeviceKeyState[] = ['active', 'pending', 'retiring', 'quarantined'];
/** A device has three living keys at most; one more than could ever be is read, so that an assertion can see it. */
const LIVING_KEYS_MAX = 8;

export interface LoadedRotation {
  record: RotationRecordRow;
  /** False for a device enrolled before there were rotations: its row is made with the first change. */
  stored: boolean;
}

/** When time alone moves a row; null: never. */
export function dueAtMs(row: RotationRow): number | null {
  switch (row.state) {
    case 'WANTED':
      return row.deadlineAtMs;
    case 'OVERDUE':
      return row.policy === 'keep' ? null : (row.deadlineAtMs ?? 0);
    case 'MINTED':
      return row.pendingExpiresAtMs;
    default:
      return null;
  }
}

/** A device's first row. */
export function newRecord(what: {
  deviceId: DeviceId;
  accountId: AccountId;
  rotation: RotationRow;
  sealedRecovery: Uint8Array | null;
}): RotationRecordRow {
  return {
    device_id: what.deviceId,
    account_id: what.accountId,
    rotation: what.rotation,
    state: what.rotation.state,
    campaign_id: what.rotation.campaignId,
    due_at_ms: dueAtMs(what.rotation),
    sealed_recovery: what.sealedRecovery,
    proposed: {},
    report: null,
    alarmed_at: {},
    limbo_at_ms: null,
    heard_at_ms: null,
    version: 1,
  };
}

/** The device's keys that are not revoked. */
export function livingKeys(deps: Pick<Deps, 'store'>, deviceId: DeviceId): Promise<KeyRow[]> {
  return deps.store.list('api_keys', {
    where: [
      ['device_id', '=', deviceId],
      ['state', 'in', LIVING_KEY_STATES],
    ],
    limit: LIVING_KEYS_MAX,
  });
}

/** The device's row; for one that has none yet, the row its keys say it should have. */
export async function loadRotation(
  deps: Pick<Deps, 'store'>,
  device: { id: DeviceId; accountId: AccountId },
): Promise<LoadedRotation> {
  const record = await deps.store.get('rotations', { device_id: device.id });
  if (record !== null) return { record, stored: true };
  const [key] = (await livingKeys(deps, device.id)).filter((one) => one.state === 'active');
  const rotation: RotationRow =
    key === undefined ? { ...enrolled('', 1), active: null, state: 'LOST' } : enrolled(key.fingerprint, key.generation);
  const fresh = newRecord({ deviceId: device.id, accountId: device.accountId, rotation, sealedRecovery: null });
  return { record: fresh, stored: false };
}
