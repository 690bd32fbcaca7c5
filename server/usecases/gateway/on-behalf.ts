import type { DeviceId, Subject } from '../../domain/ids.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { gatewayOf, isListed } from './gateways.ts';

/**
 * The gateway as it acts for one of its devices: what it sends is the device's, and is charged to the device's own
 * limit. The key stays the gateway's, so that its revocation holds for the very next request. Throws `not_found` for a
 * device that is not on its list, whether it exists or not.
 */
export async function onBehalfOf(deps: Deps, caller: Caller, device: string): Promise<Caller> {
  const gateway = await gatewayOf(deps, caller);
  if (!(await isListed(deps, gateway, device))) {
    throw new FuselinkError('not_found', 'X-Device: this gateway has no such device on its list.');
  }
  const { uploadHits: _ofTheGateway, ...acting } = caller;
  return { ...acting, deviceId: device as DeviceId, subject: device as string as Subject };
}
