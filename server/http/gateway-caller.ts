import type { Caller } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import { FuselinkError } from '../usecases/error.ts';
import { onBehalfOf } from '../usecases/gateway/on-behalf.ts';

/** The header in which a gateway names the device it acts for. */
export const HEADER_ON_BEHALF = 'x-device';

/** What a gateway key opens, and whether for itself or for one of its devices. Everything else is refused. */
export const GATEWAY_OPERATIONS: Readonly<Record<string, 'itself' | 'device'>> = {
  getGateway: 'itself',
  gatewaySignIn: 'itself',
  gatewayMessage: 'itself',
  gatewayWork: 'itself',
  gatewayRefuseDelivery: 'itself',
  gatewayHeldKeys: 'itself',
  gatewayAttest: 'itself',
  gatewayFirmware: 'itself',
  gatewayFirmwareContent: 'itself',
  upload: 'device',
  uploadByPut: 'device',
  tusCreate: 'device',
  tusStatus: 'device',
  tusAppend: 'device',
  tusOverride: 'device',
  tusTerminate: 'device',
  burnTransfer: 'device',
};

/**
 * The caller as the route is to see it: a gateway acts for the device it names. Throws `role_insufficient` where a
 * gateway key does not open the route, `invalid_field` where the header is missing or is somebody else's to send.
 */
export async function actingCaller(
  deps: Deps,
  caller: Caller,
  what: { operationId: string; onBehalf: string | undefined },
): Promise<Caller> {
  const { operationId, onBehalf } = what;
  if (caller.key.kind !== 'gateway' || caller.via !== 'key') {
    if (onBehalf === undefined || onBehalf === caller.deviceId) return caller;
    throw fieldError(`expected the key of a gateway to act for a device, got a ${caller.key.kind} key`);
  }
  const scope = Object.hasOwn(GATEWAY_OPERATIONS, operationId) ? GATEWAY_OPERATIONS[operationId] : undefined;
  if (scope === undefined) {
    throw new FuselinkError(
      'role_insufficient',
      'A gateway key opens uploads and messages of its devices, and nothing else.',
    );
  }
  if (scope === 'itself') return caller;
  if (onBehalf === undefined || onBehalf === '') throw fieldError('expected the id of the device it is for, got none');
  return onBehalfOf(deps, caller, onBehalf);
}

function fieldError(detail: string): FuselinkError {
  return new FuselinkError('invalid_field', `X-Device: ${detail}.`, { errors: [{ field: 'x-device', detail }] });
}
