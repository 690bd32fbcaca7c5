import type { AccountId, DeviceId } from '../../domain/ids.ts';
import type { GatewayRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { pagesOf } from '../rows.ts';

export interface Gateways {
  /** Of each device the gateway that may speak for it; of several the one that is oldest. */
  first: ReadonlyMap<DeviceId, string>;
  /** The devices that any of these gateways (by id or name) may speak for. Throws `invalid_field` for one there is not. */
  named(names: readonly string[]): ReadonlySet<DeviceId>;
}

/** Which device is behind which gateway, for the whole account. */
export async function gatewaysOf(deps: Pick<Deps, 'store'>, accountId: AccountId): Promise<Gateways> {
  const first = new Map<DeviceId, string>();
  const behind = new Map<string, Set<DeviceId>>();
  const pages = pagesOf(deps, 'gateways', {
    where: [['account_id', '=', accountId]],
    orderBy: [
      ['created_at_ms', 'asc'],
      ['id', 'asc'],
    ],
  });
  for await (const rows of pages) {
    for (const { id, name } of rows) {
      const devices = await devicesBehind(deps, id);
      behind.set(id, devices);
      behind.set(name, devices);
      for (const device of devices) if (!first.has(device)) first.set(device, id);
    }
  }
  return {
    first,
    named: (names) => new Set(names.flatMap((name) => [...devicesNamed(behind, name)])),
  };
}

function devicesNamed(behind: ReadonlyMap<string, ReadonlySet<DeviceId>>, name: string): ReadonlySet<DeviceId> {
  const devices = behind.get(name);
  if (devices !== undefined) return devices;
  const detail = `expected the id or name of a gateway, got "${name.slice(0, 64)}"`;
  throw new FuselinkError('invalid_field', `gateways: ${detail}.`, {
    errors: [{ field: 'gateways', detail }],
  });
}

/** The devices a gateway may speak for. */
export async function devicesBehind(deps: Pick<Deps, 'store'>, gatewayId: GatewayRow['id']): Promise<Set<DeviceId>> {
  const devices = new Set<DeviceId>();
  const pages = pagesOf(deps, 'gateway_devices', {
    where: [['gateway_id', '=', gatewayId]],
    orderBy: [['id', 'asc']],
  });
  for await (const rows of pages) {
    for (const { device_id } of rows) devices.add(device_id);
  }
  return devices;
}
