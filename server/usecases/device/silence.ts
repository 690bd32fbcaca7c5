import type { DeviceId } from '../../domain/ids.ts';
import type { DeviceRow, SilentDeviceRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

/** Devices looked at in one step: a fleet of a million is gone through in little more than an hour, in the background. */
const DEVICES_AT_ONCE = 2_000;

/**
 * Tells in the audit, once, of a device that has not been heard for `deviceSilentMs`, and once more when it is back. Goes through the
 * fleet in pages and remembers only its place: no index on the time a device was heard, which changes with its every request.
 * Nodes may do so at the same time: the row that marks a device is one commit with its entry.
 */
export class SilenceWatch {
  #devices: string | null = null;
  #silent: string | null = null;

  async step(deps: Deps): Promise<void> {
    const silentMs = deps.settings.deviceSilentMs;
    if (silentMs === 0) return;
    const before = deps.clock.nowMs() - silentMs;
    const devices = await page(deps, 'devices', 'id', this.#devices);
    this.#devices = devices.length < DEVICES_AT_ONCE ? null : (devices.at(-1)?.id ?? null);
    for (const device of devices) {
      // One that never came is not silent: it is not there yet.
      if (device.last_seen_at_ms !== null && device.last_seen_at_ms <= before) await tellSilent(deps, device);
    }
    const silent = await page(deps, 'silent_devices', 'device_id', this.#silent);
    this.#silent = silent.length < DEVICES_AT_ONCE ? null : (silent.at(-1)?.device_id ?? null);
    for (const row of silent) await tellHeard(deps, row);
  }
}

function page(deps: Deps, table: 'devices', key: 'id', after: string | null): Promise<DeviceRow[]>;
function page(deps: Deps, table: 'silent_devices', key: 'device_id', after: string | null): Promise<SilentDeviceRow[]>;
function page(deps: Deps, table: 'devices' | 'silent_devices', key: 'id' | 'device_id', after: string | null) {
  return deps.store.list(table, {
    where: [],
    orderBy: [[key as 'id' & 'device_id', 'asc']],
    ...(after === null ? {} : { after: [after] }),
    limit: DEVICES_AT_ONCE,
  });
}

async function tellSilent(deps: Deps, device: DeviceRow): Promise<void> {
  if ((await deps.store.get('silent_devices', { device_id: device.id })) !== null) return;
  const heardAtMs = device.last_seen_at_ms ?? 0;
  const row = { device_id: device.id, account_id: device.account_id, heard_at_ms: heardAtMs, version: 1 };
  await deps.store.commit([
    { kind: 'insert', table: 'silent_devices', row },
    entryOf(deps, row, 'device.silent', { last_seen_at: new Date(heardAtMs).toISOString() }),
  ]);
}

async function tellHeard(deps: Deps, row: SilentDeviceRow): Promise<void> {
  const device = await deps.store.get('devices', { id: row.device_id });
  const heardAtMs = device?.last_seen_at_ms ?? 0;
  if (device !== null && heardAtMs <= row.heard_at_ms) return;
  const gone = { kind: 'delete', table: 'silent_devices', key: row.device_id, expectVersion: row.version } as const;
  const silentSeconds = Math.round((heardAtMs - row.heard_at_ms) / 1000);
  await deps.store.commit(
    device === null ? [gone] : [gone, entryOf(deps, row, 'device.heard', { silent_seconds: silentSeconds })],
  );
}

function entryOf(
  deps: Deps,
  row: { account_id: string; device_id: DeviceId },
  action: string,
  detail: Record<string, unknown>,
) {
  const entry = { chain: row.account_id, at_ms: deps.clock.nowMs(), actor: 'silence', action, subject: row.device_id };
  return { kind: 'audit' as const, entry: { ...entry, outcome: 'done' as const, detail, from: 'local' } };
}
