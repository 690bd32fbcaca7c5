import type { DeviceRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { burnUnread } from '../key/burn-unread.ts';
import { rowsOf } from '../rows.ts';

/** Every device of the account. */
function devicesOf(deps: Deps, caller: Caller): AsyncGenerator<DeviceRow, void, void> {
  return rowsOf(deps, 'devices', {
    where: [['account_id', '=', caller.accountId]],
    orderBy: [
      ['created_at_ms', 'asc'],
      ['id', 'asc'],
    ],
  });
}

/** The account's device groups by name, and how many devices each has. */
export async function listGroups(deps: Deps, caller: Caller): Promise<{ name: string; devices: number }[]> {
  requireAccountKey(caller);
  const groups = new Map<string, number>();
  for await (const device of devicesOf(deps, caller)) {
    for (const group of new Set(device.groups)) groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  return [...groups].map(([name, devices]) => ({ name, devices })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Burns what the devices of a group have sent and nobody has read; null where there is no such group. */
export async function purgeGroup(
  deps: Deps,
  caller: Caller,
  name: string,
): Promise<{ devices: number; burned: number } | null> {
  requireAccountKey(caller);
  requireWriter(caller);
  let devices = 0;
  let burned = 0;
  for await (const device of devicesOf(deps, caller)) {
    if (!device.groups.includes(name)) continue;
    devices++;
    burned += await burnUnread(deps, caller, { deviceId: device.id });
  }
  if (devices === 0) return null;
  const nowMs = deps.clock.nowMs();
  await deps.store.commit([
    auditOf(caller, nowMs, { action: 'group.purged', subject: name, detail: { devices, burned } }),
  ]);
  return { devices, burned };
}
