import { DEVICE_NAME_CHARS_MAX, type DeviceAnswer, RECOVERY_SECRET_BYTES } from '#sdk/protocol';
import { toHex } from '../../domain/base64url.ts';
import type { DeviceId } from '../../domain/ids.ts';
import { enrolled } from '../../domain/rotation/index.ts';
import type { DeviceRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { mintKey } from '../key/mint-key.ts';
import { newId } from '../new-id.ts';
import { newestFirst, type PageQuery } from '../paging.ts';
import { newRecord } from '../rotation/record.ts';
import { sealRecovery } from '../rotation/recover.ts';

export interface EnrolDevice {
  name: string;
  profile?: string | undefined;
  tags?: string[] | undefined;
  groups?: string[] | undefined;
}

/** A new device with its first key and its recovery secret, both shown once. Throws `conflict` where the account has a device of this name. */
export async function enrolDevice(
  deps: Deps,
  caller: Caller,
  what: EnrolDevice,
): Promise<{ device: DeviceAnswer; key: string; recoverySecret: string }> {
  requireManagement(caller);
  requireWriter(caller);
  const device: DeviceRow = {
    id: newId(deps, 'dev') as DeviceId,
    account_id: caller.accountId,
    name: checkLabel('name', what.name),
    profile: checkLabel('profile', what.profile ?? 'generic'),
    tags: (what.tags ?? []).map((tag) => checkLabel('tags', tag)),
    groups: (what.groups ?? []).map((group) => checkLabel('groups', group)),
    created_at_ms: deps.clock.nowMs(),
    last_seen_at_ms: null,
    version: 1,
  };
  const { row, key } = mintKey(deps, {
    accountId: caller.accountId,
    kind: 'device',
    deviceId: device.id,
    name: device.name,
    role: 'operator',
  });
  const recoverySecret = deps.random.bytes(RECOVERY_SECRET_BYTES);
  const rotation = newRecord({
    deviceId: device.id,
    accountId: caller.accountId,
    rotation: enrolled(row.fingerprint, row.generation),
    sealedRecovery: sealRecovery(deps, device.id, recoverySecret),
  });
  const outcome = await deps.store.commit([
    { kind: 'insert', table: 'devices', row: device },
    { kind: 'insert', table: 'rotations', row: rotation },
    { kind: 'insert', table: 'api_keys', row },
    auditOf(caller, deps.clock.nowMs(), {
      action: 'device.enrolled',
      subject: device.id,
      detail: { name: device.name, fingerprint: row.fingerprint },
    }),
  ]);
  if (!outcome.ok) throw new FuselinkError('conflict', `name: there is a device called "${device.name}" already.`);
  return { device: deviceAnswer(device), key, recoverySecret: toHex(recoverySecret) };
}

export function deviceAnswer(row: DeviceRow): DeviceAnswer {
  return {
    id: row.id,
    name: row.name,
    profile: row.profile,
    tags: row.tags,
    groups: row.groups,
    created_at: new Date(row.created_at_ms).toISOString(),
    last_seen_at: row.last_seen_at_ms === null ? null : new Date(row.last_seen_at_ms).toISOString(),
  };
}

/** A page of the account's devices, newest first. */
export async function listDevices(
  deps: Deps,
  caller: Caller,
  query: PageQuery,
): Promise<{ devices: DeviceAnswer[]; next_cursor: string | null }> {
  if (caller.key.kind !== 'account')
    throw new FuselinkError('role_insufficient', 'Expected an account key, got a device key.');
  const page = await newestFirst(deps.store, 'devices', [['account_id', '=', caller.accountId]], query);
  return { devices: page.rows.map(deviceAnswer), next_cursor: page.next_cursor };
}

/** A name or tag as it is kept; throws `invalid_field` for what is none. */
export function checkLabel(field: string, text: string): string {
  const trimmed = text.trim();
  if (trimmed !== '' && trimmed.length <= DEVICE_NAME_CHARS_MAX && !/[\u0000-\u001f\u007f\ud800-\udfff]/u.test(trimmed))
    return trimmed;
  const detail = `expected 1 to ${DEVICE_NAME_CHARS_MAX} characters, got ${trimmed === '' ? 'none' : `${trimmed.length} or control characters`}`;
  throw new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}
