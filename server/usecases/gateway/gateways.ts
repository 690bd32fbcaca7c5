import { DEVICE_NAME_CHARS_MAX } from '#sdk/protocol';
import type { DeviceId, GatewayId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { DeviceRow, GatewayDeviceRow, GatewayRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { mintKey } from '../key/mint-key.ts';
import { newId } from '../new-id.ts';

/** Devices one gateway may speak for: more than a plant has, and a bound on what one stolen gateway key can reach. */
export const GATEWAY_DEVICES_MAX = 10_000;

/** A new gateway and its key, shown once. Throws `conflict` where the account has a gateway of this name. */
export async function addGateway(
  deps: Deps,
  caller: Caller,
  what: { name: string; devices: readonly string[] },
): Promise<{ gateway: GatewayRow; devices: DeviceId[]; key: string; fingerprint: string }> {
  requireManagement(caller);
  requireWriter(caller);
  const name = checkName(what.name);
  const devices = await devicesNamed(deps, caller, what.devices);
  const nowMs = deps.clock.nowMs();
  const { row, key } = mintKey(deps, {
    accountId: caller.accountId,
    kind: 'gateway',
    deviceId: null,
    name,
    role: 'operator',
  });
  const gateway: GatewayRow = {
    id: newId(deps, 'gw') as GatewayId,
    account_id: caller.accountId,
    name,
    key_id: row.id,
    created_at_ms: nowMs,
    version: 1,
  };
  const outcome = await deps.store.commit([
    { kind: 'insert', table: 'gateways', row: gateway },
    { kind: 'insert', table: 'api_keys', row },
    ...devices.map((device) => listing(gateway.id, device.id, nowMs)),
    auditOf(caller, nowMs, {
      action: 'gateway.added',
      subject: gateway.id,
      detail: { name, fingerprint: row.fingerprint, devices: devices.map(({ id }) => id) },
    }),
  ]);
  if (!outcome.ok) throw new FuselinkError('conflict', `name: there is a gateway called "${name}" already.`);
  return { gateway, devices: devices.map(({ id }) => id), key, fingerprint: row.fingerprint };
}

/** Lets a gateway speak for more devices. Those it had already stay as they are. */
export async function allowDevices(
  deps: Deps,
  caller: Caller,
  what: { gateway: string; devices: readonly string[] },
): Promise<GatewayDeviceRow['device_id'][]> {
  requireManagement(caller);
  requireWriter(caller);
  const gateway = await gatewayNamed(deps, caller, what.gateway);
  const devices = await devicesNamed(deps, caller, what.devices);
  const nowMs = deps.clock.nowMs();
  const ids = devices.map(({ id }) => id);
  await deps.store.commit([
    ...ids.map((id) => listing(gateway.id, id, nowMs)),
    auditOf(caller, nowMs, { action: 'gateway.allowed', subject: gateway.id, detail: { devices: ids } }),
  ]);
  const listed = await deps.store.count('gateway_devices', { where: [['gateway_id', '=', gateway.id]] });
  if (listed.rows > GATEWAY_DEVICES_MAX) {
    await denyDevices(deps, caller, { gateway: gateway.id, devices: ids });
    throw tooMany(listed.rows);
  }
  return ids;
}

/** Takes devices from a gateway: its next request for one of them is refused. */
export async function denyDevices(
  deps: Deps,
  caller: Caller,
  what: { gateway: string; devices: readonly string[] },
): Promise<DeviceId[]> {
  requireManagement(caller);
  requireWriter(caller);
  const gateway = await gatewayNamed(deps, caller, what.gateway);
  const ids = (await devicesNamed(deps, caller, what.devices)).map(({ id }) => id);
  await deps.store.commit([
    ...ids.map((id): Write => ({ kind: 'delete', table: 'gateway_devices', key: listingId(gateway.id, id) })),
    auditOf(caller, deps.clock.nowMs(), { action: 'gateway.denied', subject: gateway.id, detail: { devices: ids } }),
  ]);
  return ids;
}

export interface GatewayAnswer {
  id: GatewayId;
  name: string;
  key_id: string;
  devices: number;
  created_at: string;
}

/** As its operator sees it. */
export interface ListedGateway extends GatewayAnswer {
  /** Devices whose keys it holds, because they cannot. */
  holds_keys_of: DeviceId[];
}

/** The account's gateways, newest first; at most 200. */
export async function listGateways(deps: Deps, caller: Caller): Promise<ListedGateway[]> {
  const rows = await deps.store.list('gateways', {
    where: [['account_id', '=', caller.accountId]],
    orderBy: [
      ['created_at_ms', 'desc'],
      ['id', 'desc'],
    ],
    limit: 200,
  });
  return Promise.all(
    rows.map(async (row) => ({ ...(await gatewayAnswer(deps, row)), holds_keys_of: await heldBy(deps, row) })),
  );
}

async function heldBy(deps: Deps, { id }: GatewayRow): Promise<DeviceId[]> {
  const listed = await deps.store.list('gateway_devices', {
    where: [['gateway_id', '=', id]],
    orderBy: [['id', 'asc']],
    limit: GATEWAY_DEVICES_MAX,
  });
  return listed.filter(({ holds_key }) => holds_key === true).map(({ device_id }) => device_id);
}

export async function gatewayAnswer(deps: Deps, row: GatewayRow): Promise<GatewayAnswer> {
  const { rows } = await deps.store.count('gateway_devices', { where: [['gateway_id', '=', row.id]] });
  const created = new Date(row.created_at_ms).toISOString();
  return { id: row.id, name: row.name, key_id: row.key_id, devices: rows, created_at: created };
}

/** The gateway a gateway key is bound to; throws `role_insufficient` for every other caller. */
export async function gatewayOf(deps: Deps, caller: Caller): Promise<GatewayRow> {
  const row = caller.key.kind === 'gateway' ? await deps.store.get('gateways', { key_id: caller.key.id }) : null;
  if (row !== null && row.account_id === caller.accountId) return row;
  throw new FuselinkError('role_insufficient', `Expected the key of a gateway, got a ${caller.key.kind} key.`);
}

/** Whether the gateway may speak for the device. */
export async function isListed(deps: Deps, gateway: GatewayRow, device: string): Promise<boolean> {
  return (await deps.store.get('gateway_devices', { id: listingId(gateway.id, device) })) !== null;
}

function listing(gateway: GatewayId, device: DeviceId, nowMs: number): Write {
  const row: GatewayDeviceRow = {
    id: listingId(gateway, device),
    gateway_id: gateway,
    device_id: device,
    holds_key: null,
    created_at_ms: nowMs,
    version: 1,
  };
  return { kind: 'put', table: 'gateway_devices', row };
}

function listingId(gateway: GatewayId, device: string): string {
  return `${gateway}/${device}`;
}

async function gatewayNamed(deps: Deps, caller: Caller, text: string): Promise<GatewayRow> {
  const byId = await deps.store.get('gateways', { id: text as GatewayId });
  const row = byId ?? (await deps.store.get('gateways', { account_id: caller.accountId, name: text }));
  if (row !== null && row.account_id === caller.accountId) return row;
  throw new FuselinkError('not_found', `There is no gateway "${text}".`);
}

async function devicesNamed(deps: Deps, caller: Caller, texts: readonly string[]): Promise<DeviceRow[]> {
  if (texts.length > GATEWAY_DEVICES_MAX) throw tooMany(texts.length);
  const found: DeviceRow[] = [];
  for (const text of new Set(texts)) {
    const byId = await deps.store.get('devices', { id: text as DeviceId });
    const row = byId ?? (await deps.store.get('devices', { account_id: caller.accountId, name: text }));
    if (row === null || row.account_id !== caller.accountId) {
      throw new FuselinkError('not_found', `There is no device "${text}": expected its id or name.`);
    }
    found.push(row);
  }
  return found;
}

function tooMany(count: number): FuselinkError {
  const detail = `expected at most ${GATEWAY_DEVICES_MAX} devices for one gateway, got ${count}`;
  return new FuselinkError('invalid_field', `devices: ${detail}.`, { errors: [{ field: 'devices', detail }] });
}

function checkName(text: string): string {
  const name = text.trim();
  if (name !== '' && name.length <= DEVICE_NAME_CHARS_MAX && !/[\u0000-\u001f\u007f\ud800-\udfff]/u.test(name)) {
    return name;
  }
  const detail = `expected 1 to ${DEVICE_NAME_CHARS_MAX} characters, got ${name === '' ? 'none' : `${name.length} or control characters`}`;
  throw new FuselinkError('invalid_field', `name: ${detail}.`, { errors: [{ field: 'name', detail }] });
}
