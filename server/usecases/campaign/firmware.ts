import type { Write } from '../../ports/metadata-store.ts';
import type { DeviceFirmwareRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import type { Asked, RollOut } from './roll-out.ts';

/** The image a campaign carries. */
export function imageOf(record: Asked['record']): string {
  const image = record.cargo?.['image_id'];
  if (typeof image === 'string') return image;
  throw new Error(`expected campaign ${record.id} to carry an image`);
}

function rowWrite(row: DeviceFirmwareRow, before: DeviceFirmwareRow | null): Write {
  return before === null
    ? { kind: 'insert', table: 'device_firmware', row }
    : { kind: 'update', table: 'device_firmware', row, expectVersion: before.version };
}

/** Images of firmware, as what a campaign brings to its devices: through the gateways that speak for them. */
export const FIRMWARE_ROLL_OUT: RollOut = {
  undoesEnded: true,

  async ask(deps, { record, device }) {
    const image = await deps.store.get('firmware_images', { id: imageOf(record) });
    if (image === null) return { kind: 'skipped', reason: 'its image was removed' };
    const before = await deps.store.get('device_firmware', { device_id: device.id });
    if (before?.image_id === image.id && before.state === 'running')
      return { kind: 'skipped', reason: 'it runs it already' };
    if (before?.state === 'wanted' && before.campaign_id !== record.id)
      return { kind: 'skipped', reason: 'another image is on its way' };
    const had =
      before?.state === 'running' || before?.state === 'staged' ? before.image_id : (before?.previous_image_id ?? null);
    const row: DeviceFirmwareRow = {
      device_id: device.id,
      account_id: device.account_id,
      image_id: image.id,
      previous_image_id: had === image.id ? null : had,
      campaign_id: record.id,
      state: 'wanted',
      reason: null,
      at_ms: deps.clock.nowMs(),
      version: (before?.version ?? 0) + 1,
    };
    return { kind: 'asked', writes: [rowWrite(row, before)], base: 0 };
  },

  async look(deps, { record, member, device }) {
    const row = await rowOf(deps, { record, member, device });
    if (row === null) {
      const end = { outcome: 'error', reason: 'another roll-out took over' } as const;
      return { contacted: member.contacted, limbo: false, end, againAtMs: null };
    }
    const back = isGoingBack(record, row);
    const mayBeSilent = row.state === 'staged' || (back && row.state === 'wanted');
    const silentAtMs = mayBeSilent ? row.at_ms + record.campaign.rules.silenceMs : null;
    const silent = silentAtMs !== null && silentAtMs <= deps.clock.nowMs();
    if (back)
      return { contacted: member.contacted, limbo: false, end: endOfReturn(row, silent), againAtMs: silentAtMs };
    return {
      contacted: member.contacted || row.state !== 'wanted',
      limbo: false,
      end: endOf(row, silent),
      againAtMs: silentAtMs,
    };
  },

  async takeBack(deps, at, order) {
    const { record } = at;
    const row = await rowOf(deps, at);
    if (row === null) return { writes: [], reason: 'another roll-out took over' };
    const nowMs = deps.clock.nowMs();
    if (row.state === 'wanted') {
      const gone: DeviceFirmwareRow = { ...row, state: 'withdrawn', at_ms: nowMs, version: row.version + 1 };
      return { writes: [rowWrite(gone, row)], reason: order === 'abort' ? 'aborted' : 'rolled back' };
    }
    // Where it failed, the device has gone back by itself.
    if (order === 'abort' || row.state === 'failed') return { writes: [], reason: row.state };
    if (isGoingBack(record, row)) return { writes: [], reason: 'rolled back' };
    if (row.previous_image_id === null) return { writes: [], reason: 'there is no earlier image' };
    const back: DeviceFirmwareRow = {
      ...row,
      image_id: row.previous_image_id,
      previous_image_id: null,
      state: 'wanted',
      reason: null,
      at_ms: nowMs,
      version: row.version + 1,
    };
    return { writes: [rowWrite(back, row)], reason: 'rolled back', waits: true };
  },

  async readiness(deps, device) {
    const row = await deps.store.get('device_firmware', { device_id: device.id });
    // A device keeps what it runs until it has booted what is new.
    return { busy: row?.state === 'wanted', recoverable: true };
  },
};

/** What this campaign asked of the device; null where something else did since. */
async function rowOf(deps: Deps, { record, device }: Asked): Promise<DeviceFirmwareRow | null> {
  const row = await deps.store.get('device_firmware', { device_id: device.id });
  return row?.campaign_id === record.id ? row : null;
}

/** Whether the device is asked for the image it had before this campaign. */
function isGoingBack(record: Asked['record'], row: DeviceFirmwareRow): boolean {
  return row.image_id !== imageOf(record);
}

/** A device that is away takes its earlier image when it comes; the campaign does not wait for it for ever. */
function endOfReturn(row: DeviceFirmwareRow, silent: boolean) {
  if (row.state === 'running') return { outcome: 'skipped', reason: 'rolled back' } as const;
  if (row.state === 'failed') return { outcome: 'error', reason: row.reason ?? 'failed to go back' } as const;
  return silent ? ({ outcome: 'skipped', reason: 'rolled back, and silent since' } as const) : null;
}

function endOf(row: DeviceFirmwareRow, silent: boolean) {
  switch (row.state) {
    case 'running':
      return { outcome: 'done', reason: null } as const;
    case 'failed':
      return { outcome: 'error', reason: row.reason ?? 'failed' } as const;
    case 'withdrawn':
      return { outcome: 'skipped', reason: 'withdrawn' } as const;
    case 'staged':
      return silent ? ({ outcome: 'error', reason: 'silent after it was staged' } as const) : null;
    case 'wanted':
      return null;
  }
}
