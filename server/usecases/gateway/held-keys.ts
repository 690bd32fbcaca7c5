import type { DeviceId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { GatewayDeviceRow } from '../../ports/tables.ts';
import { auditOf, type Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { GATEWAY_DEVICES_MAX, gatewayOf } from './gateways.ts';

/**
 * The gateway says whose keys it holds, all of them: those devices cannot hold one, so their key proves the gateway and no
 * longer the device. Throws `not_found` where one is not on its list.
 */
export async function tellHeldKeys(deps: Deps, caller: Caller, devices: readonly string[]): Promise<DeviceId[]> {
  const gateway = await gatewayOf(deps, caller);
  const held = new Set(devices);
  const listed = await deps.store.list('gateway_devices', {
    where: [['gateway_id', '=', gateway.id]],
    orderBy: [['id', 'asc']],
    limit: GATEWAY_DEVICES_MAX,
  });
  const known = new Set<string>(listed.map(({ device_id }) => device_id));
  if ([...held].some((device) => !known.has(device))) {
    throw new FuselinkError('not_found', 'devices: this gateway has no such device on its list.');
  }
  const changed = listed.filter((row) => (row.holds_key === true) !== held.has(row.device_id));
  const nowMs = deps.clock.nowMs();
  if (changed.length > 0) {
    await deps.store.commit([
      ...changed.map((row): Write => {
        const next: GatewayDeviceRow = { ...row, holds_key: held.has(row.device_id), version: row.version + 1 };
        return { kind: 'put', table: 'gateway_devices', row: next };
      }),
      auditOf(caller, nowMs, {
        action: 'gateway.holds_keys',
        subject: gateway.id,
        detail: { devices: [...held].slice(0, 100), held: held.size },
      }),
    ]);
  }
  return [...held] as DeviceId[];
}

/** The gateway that holds the key of this device; null where the device holds it itself. */
export async function keyHolderOf(deps: Pick<Deps, 'store'>, device: DeviceId): Promise<string | null> {
  const rows = await deps.store.list('gateway_devices', {
    where: [['device_id', '=', device]],
    orderBy: [['id', 'asc']],
    limit: 10,
  });
  return rows.find(({ holds_key }) => holds_key === true)?.gateway_id ?? null;
}
