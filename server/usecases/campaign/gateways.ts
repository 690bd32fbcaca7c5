import type { AccountId, DeviceId } from '../../domain/ids.ts';
import type { GatewayDeviceRow, GatewayRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

const PAGE_ROWS = 500;

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
  let after: (string | number)[] | null = null;
  for (;;) {
    const rows: GatewayRow[] = await deps.store.list('gateways', {
      where: [['account_id', '=', accountId]],
      orderBy: [
        ['created_at_ms', 'asc'],
        ['id', 'asc'],
      ],
      ...(after === null ? {} : { after }),
      limit: PAGE_ROWS,
    });
    for (const { id, name } of rows) {
      const devices = await devicesBehind(deps, id);
      behind.set(id, devices);
      behind.set(name, devices);
      for (const device of devices) if (!first.has(device)) first.set(device, id);
    }
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < PAGE_ROWS) break;
    after = [last.created_at_ms, last.id];
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
  let after: string[] | null = null;
  for (;;) {
    const rows: GatewayDeviceRow[] = await deps.store.list('gateway_devices', {
      where: [['gateway_id', '=', gatewayId]],
      orderBy: [['id', 'asc']],
      ...(after === null ? {} : { after }),
      limit: PAGE_ROWS,
    });
    for (const { device_id } of rows) devices.add(device_id);
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < PAGE_ROWS) return devices;
    after = [last.id];
  }
}
