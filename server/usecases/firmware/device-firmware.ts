import { toHex, utf8 } from '../../domain/base64url.ts';
import { isStill } from '../../domain/campaign/index.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { DeviceFirmwareRow, FirmwareImageRow, GatewayRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, whileKeyHolds } from '../caller.ts';
import { newsWrite } from '../campaign/news.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { gatewayOf, isListed } from '../gateway/gateways.ts';
import type { DeviceCaller } from '../rotation/hear.ts';
import { refreshKey, requireDevice, statusTake, tooManyReports } from '../rotation/report.ts';
import { signerOf } from './firmware-images.ts';
import { invalid } from './firmware-keys.ts';

const REASON_CHARS_MAX = 200;
/** Devices told of in one answer to a gateway: a wave. */
const WANTED_MAX = 2000;
const REPORTS: readonly string[] = ['staged', 'running', 'failed'];

export interface DeviceFirmwareAnswer {
  device_id: string;
  image_id: string;
  release: string;
  state: DeviceFirmwareRow['state'];
  reason: string | null;
  at: string;
}

/**
 * The device says what has become of its image: `staged` (it is all there and verified), `running` (it booted it), or
 * `failed`. `file` is the image's id on the wire. Throws `conflict` for an image it is not waited for.
 */
export async function reportFirmware(
  deps: Deps,
  caller: Caller,
  said: { file: string; state: string; reason?: string | undefined },
): Promise<DeviceFirmwareAnswer> {
  const device = requireDevice(caller);
  if (!REPORTS.includes(said.state)) throw invalid('state', `expected one of ${REPORTS.join(', ')}`);
  for (;;) {
    const { answer, writes } = await decideReport(deps, device, said);
    if (writes.length === 0) return answer;
    const outcome = await deps.store.commit([statusTake(device, deps.clock.nowMs()), ...writes]);
    if (outcome.ok) return answer;
    if (outcome.reason === 'window-full') throw await tooManyReports(deps, device);
    await refreshKey(deps, device);
  }
}

async function decideReport(
  deps: Deps,
  device: DeviceCaller,
  said: { file: string; state: string; reason?: string | undefined },
): Promise<{ answer: DeviceFirmwareAnswer; writes: Write[] }> {
  const row = await deps.store.get('device_firmware', { device_id: device.deviceId });
  const image = row === null ? null : await deps.store.get('firmware_images', { id: row.image_id });
  if (row === null || image === null || fileIdOf(deps, image) !== said.file) {
    throw new FuselinkError('conflict', 'Expected a report about the image that is wanted, got one about another.');
  }
  const state = said.state as DeviceFirmwareRow['state'];
  // What runs does not go back to being staged: a late repeat of the first report changes nothing.
  if (row.state === state || (row.state === 'running' && state === 'staged') || row.state === 'withdrawn') {
    return { answer: answerOf(row, image), writes: [] };
  }
  const nowMs = deps.clock.nowMs();
  const reason = said.reason === undefined ? null : cleanText(said.reason);
  const next: DeviceFirmwareRow = { ...row, state, reason, at_ms: nowMs, version: row.version + 1 };
  return {
    answer: answerOf(next, image),
    writes: [
      ...whileKeyHolds(device),
      { kind: 'update', table: 'device_firmware', row: next, expectVersion: row.version },
      ...(row.campaign_id === null ? [] : [newsWrite(row.campaign_id, row.device_id, next.version)]),
      auditOf(device, nowMs, {
        action: `firmware.${state}`,
        subject: device.deviceId,
        outcome: state === 'failed' ? 'refused' : 'done',
        detail: { image: image.id, release: image.release, reason },
      }),
    ],
  };
}

/** What the device has or is to get; throws `not_found` where nothing was ever rolled out to it. */
export async function lookAtFirmware(deps: Deps, caller: Caller, id: DeviceId): Promise<DeviceFirmwareAnswer> {
  requireAccountKey(caller);
  const row = await deps.store.get('device_firmware', { device_id: id });
  const image = row === null ? null : await deps.store.get('firmware_images', { id: row.image_id });
  if (row === null || image === null || row.account_id !== caller.accountId) {
    throw new FuselinkError('not_found', 'No image was rolled out to such a device.');
  }
  return answerOf(row, image);
}

export interface FirmwareWork {
  device_id: string;
  image_id: string;
}

/** The devices of a gateway that wait for an image. Nothing while their campaign stands still, but the way back. */
export async function firmwareFor(deps: Deps, gateway: GatewayRow): Promise<FirmwareWork[]> {
  const rows = await deps.store.list('device_firmware', {
    where: [
      ['account_id', '=', gateway.account_id],
      ['state', '=', 'wanted'],
    ],
    orderBy: [['device_id', 'asc']],
    limit: WANTED_MAX,
  });
  /** By campaign what is not given out now: its image, or `all` where it is gone; null: it runs. */
  const still = new Map<string, string | null>();
  const work: FirmwareWork[] = [];
  for (const { device_id, image_id, campaign_id } of rows) {
    if (campaign_id !== null && !still.has(campaign_id)) {
      const campaign = await deps.store.get('campaigns', { id: campaign_id });
      const stands = campaign === null || isStill(campaign.campaign.state);
      still.set(campaign_id, stands ? String(campaign?.cargo?.['image_id'] ?? 'all') : null);
    }
    const held = campaign_id === null ? null : still.get(campaign_id);
    if (held === 'all' || held === image_id) continue;
    if (await isListed(deps, gateway, device_id)) work.push({ device_id, image_id });
  }
  return work;
}

/**
 * An image for a gateway one of whose devices waits for it, with a signature that a trusted key made: one that was taken
 * back is not given out. Throws `not_found` for every other image.
 */
export async function imageForGateway(deps: Deps, caller: Caller, id: string): Promise<FirmwareImageRow> {
  const gateway = await gatewayOf(deps, caller);
  const image = await deps.store.get('firmware_images', { id });
  const wanted = (await firmwareFor(deps, gateway)).some(({ image_id }) => image_id === id);
  if (image === null || !wanted || image.state !== 'ready')
    throw new FuselinkError('not_found', 'There is no such image.');
  const signed = await signerOf(
    deps,
    { accountId: gateway.account_id },
    { line: image.manifest, signature: image.signature },
  );
  if (signed === null) throw new FuselinkError('not_found', 'The key that signed this image is not trusted any more.');
  return image;
}

/** The first 16 bytes of SHA-256 of the manifest's line, as hex. */
function fileIdOf(deps: Deps, image: FirmwareImageRow): string {
  const digest = deps.crypto.sha256(utf8(image.manifest));
  return toHex(digest.subarray(0, 16));
}

function answerOf(row: DeviceFirmwareRow, image: FirmwareImageRow): DeviceFirmwareAnswer {
  const { device_id, image_id, state, reason, at_ms } = row;
  return { device_id, image_id, release: image.release, state, reason, at: new Date(at_ms).toISOString() };
}

function cleanText(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f\ud800-\udfff]/gu, ' ').slice(0, REASON_CHARS_MAX);
}
