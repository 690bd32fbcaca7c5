import { fromHex, toBase64url } from '../../domain/base64url.ts';
import type { TransferId } from '../../domain/ids.ts';
import { type Caller, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { callerOfKey } from '../key/authenticate.ts';
import { afterDeviceRequest, type DeviceCaller, decideCommit, isDevice, noteCommit } from '../rotation/hear.ts';
import { loadRotation } from '../rotation/record.ts';
import { refreshKey } from '../rotation/report.ts';
import { gatewayOf, isListed } from './gateways.ts';

export interface AttestedUpload {
  device: string;
  /** SHA-256 of the key the device had signed in with when it published what is in the transfer. */
  keySha256: string;
  /** The transfer, uploaded by this gateway for the device. */
  transfer: string;
}

/**
 * The gateway vouches that a device was signed in with this key when it published what has since been stored: the device's
 * own sign-in and upload, which prove the key as an upload over HTTP does. `settled`: nothing more of it is waited for.
 * Throws `not_found` for a device that is not listed, a key that is not its own, and a transfer that is not both.
 */
export async function attestUpload(deps: Deps, caller: Caller, said: AttestedUpload): Promise<{ settled: boolean }> {
  const gateway = await gatewayOf(deps, caller);
  const digest = fromHex(said.keySha256);
  const key = digest === null ? null : await deps.store.get('api_keys', { hash: toBase64url(digest) });
  const transfer = await deps.store.get('transfers', { id: said.transfer as TransferId });
  const fits =
    (await isListed(deps, gateway, said.device)) &&
    key !== null &&
    key.device_id === said.device &&
    key.account_id === gateway.account_id &&
    transfer !== null &&
    transfer.device_id === said.device &&
    transfer.key_id === gateway.key_id &&
    transfer.state !== 'uploading';
  if (!fits)
    throw new FuselinkError('not_found', 'This gateway has uploaded no such transfer for such a device and key.');
  const own = await callerOfKey(deps, key, caller.from, null, { mayChange: false });
  const device: Caller = { ...own, vouched: `attested by gateway:${gateway.id}` };
  if (!isDevice(device)) throw new FuselinkError('not_found', 'This gateway speaks for no such device.');
  await commit(deps, device);
  await afterDeviceRequest(deps, device);
  const { record } = await loadRotation(deps, { id: device.deviceId, accountId: device.accountId });
  return { settled: record.state === 'IDLE' };
}

async function commit(deps: Deps, device: DeviceCaller): Promise<void> {
  for (;;) {
    const { outcome, writes } = await decideCommit(deps, device, false, {});
    const committed = await deps.store.commit([...whileKeyHolds(device), ...writes]);
    if (committed.ok) return noteCommit(device, outcome.alarms);
    await refreshKey(deps, device);
  }
}
