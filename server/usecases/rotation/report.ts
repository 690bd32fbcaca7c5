import { type DeviceSelfAnswer, STATUS_REPORTS_PER_WINDOW } from '#sdk/protocol';
import { windowAt } from '../../domain/sliding-window.ts';
import type { TakeWrite } from '../../ports/metadata-store.ts';
import type { DeviceReport } from '../../ports/tables.ts';
import { type Caller, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { type DeviceCaller, decideCommit, isDevice, noteCommit, tellingFor, tellingTo } from './hear.ts';
import { loadRotation } from './record.ts';

const WINDOW_MS = 60_000;
const PHASES = ['EMPTY', 'SETTLED', 'STAGED', 'PROVING', 'PROVEN', 'LIMBO'];
const GENERATION_MAX = 0xffffffff;

/** Throws `device_key_required` for everybody but a device with its own key. */
export function requireDevice(caller: Caller): DeviceCaller {
  if (isDevice(caller)) return caller;
  throw new FuselinkError('device_key_required', `Expected a device's own key, got a ${caller.key.kind} key.`);
}

/** The device's own view of itself: its key, its wanted rotation, limits, and the time. */
export async function ownDevice(deps: Deps, caller: Caller): Promise<DeviceSelfAnswer> {
  const device = requireDevice(caller);
  const row = await deps.store.get('devices', { id: device.deviceId });
  const key = await deps.store.get('api_keys', { id: device.key.id });
  if (row === null || key === null) throw new FuselinkError('not_found', 'This device was removed.');
  const { record } = await loadRotation(deps, { id: device.deviceId, accountId: device.accountId });
  const telling = tellingTo(caller, await tellingFor(deps, record, key));
  const { uploadsPerWindow, uploadWindowMs, fileBytesMax } = deps.settings;
  return {
    device_id: row.id,
    name: row.name,
    key: { fingerprint: key.fingerprint, state: key.state },
    rotation: {
      state: record.rotation.state,
      generation: record.rotation.generation,
      wanted: telling.wanted,
      settled_generation: telling.settledGeneration,
      recoverable_generation: telling.recoverableGeneration,
    },
    limits: {
      uploads: uploadsPerWindow,
      upload_window_seconds: uploadWindowMs / 1000,
      status_reports: STATUS_REPORTS_PER_WINDOW,
      file_bytes_max: fileBytesMax,
    },
    server_time: new Date(deps.clock.nowMs()).toISOString(),
  };
}

export interface StatusReport {
  phase: string;
  generation?: number | undefined;
  boot: number;
  sequence: number;
  bootTag: string;
}

/**
 * The device's durable report of where it stands. Committed under a pending key it is the proof of that key, where there
 * is nothing to upload. Ten a minute of its own, so that a device at its upload limit can still prove and settle.
 */
export async function reportStatus(deps: Deps, caller: Caller, report: StatusReport): Promise<DeviceSelfAnswer> {
  const device = requireDevice(caller);
  checkReport(report);
  device.device.position = { boot: report.boot, sequence: report.sequence, bootTag: report.bootTag };
  for (;;) {
    const nowMs = deps.clock.nowMs();
    const said: DeviceReport = {
      at_ms: nowMs,
      phase: report.phase,
      generation: report.generation ?? null,
      boot: report.boot,
      sequence: report.sequence,
      boot_tag: report.bootTag,
    };
    const decision = await decideCommit(deps, device, report.phase === 'PROVEN', { report: said });
    const outcome = await deps.store.commit([...whileKeyHolds(device), statusTake(device, nowMs), ...decision.writes]);
    if (outcome.ok) {
      noteCommit(device, decision.outcome.alarms);
      return ownDevice(deps, device);
    }
    if (outcome.reason === 'window-full') throw await tooManyReports(deps, device);
    await refreshKey(deps, device);
  }
}

/** One of the device's own calls, counted: reports, registrations and offers share ten a minute. */
export function statusTake(device: DeviceCaller, nowMs: number): TakeWrite {
  return {
    kind: 'take',
    id: `status ${device.deviceId}`,
    atMs: nowMs,
    windowMs: WINDOW_MS,
    max: STATUS_REPORTS_PER_WINDOW,
  };
}

export async function tooManyReports(deps: Deps, device: DeviceCaller): Promise<FuselinkError> {
  const row = await deps.store.get('windows', { id: `status ${device.deviceId}` });
  const limits = { nowMs: deps.clock.nowMs(), windowMs: WINDOW_MS, max: STATUS_REPORTS_PER_WINDOW };
  const seconds = Math.max(1, windowAt(row?.hits ?? [], limits).resetSeconds);
  return new FuselinkError(
    'status_limit_exceeded',
    `Expected at most ${STATUS_REPORTS_PER_WINDOW} status reports in ${WINDOW_MS / 1000} s; the next one is accepted in ${seconds} s.`,
    { retryAfterSeconds: seconds },
  );
}

/** The caller with its key as it is now; throws `key_revoked` where that was revoked meanwhile. */
export async function refreshKey(deps: Deps, device: DeviceCaller): Promise<void> {
  const key = await deps.store.get('api_keys', { id: device.key.id });
  if (key === null || key.state === 'revoked') {
    const { fingerprint } = device.key;
    throw new FuselinkError('key_revoked', `The API key with the fingerprint ${fingerprint} was revoked meanwhile.`, {
      fingerprint,
    });
  }
  device.key = key;
}

function checkReport(report: StatusReport): void {
  const errors: { field: string; detail: string }[] = [];
  if (!PHASES.includes(report.phase)) {
    errors.push({ field: 'phase', detail: `expected one of ${PHASES.join(', ')}, got another` });
  }
  const wholes = [
    ['generation', report.generation ?? 0, GENERATION_MAX],
    ['boot', report.boot, GENERATION_MAX],
    ['sequence', report.sequence, Number.MAX_SAFE_INTEGER],
  ] as const;
  for (const [field, value, max] of wholes) {
    if (!Number.isInteger(value) || value < 0 || value > max) {
      errors.push({ field, detail: `expected a whole number up to ${max}, got ${value}` });
    }
  }
  if (!/^[0-9a-f]{8,32}$/.test(report.bootTag)) {
    errors.push({ field: 'boot_tag', detail: 'expected 8 to 32 hex characters, got something else' });
  }
  if (errors.length === 0) return;
  const detail = errors.map((one) => `${one.field}: ${one.detail}`).join('; ');
  throw new FuselinkError('invalid_field', `${detail}.`, { errors });
}
