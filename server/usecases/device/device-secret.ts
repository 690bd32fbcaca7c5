import { DEVICE_SECRET_LABEL, OFFER_WRAP_LABEL } from '#sdk/protocol';
import { utf8 } from '../../domain/base64url.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { KeyRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

const PURPOSE = 'device secret';

/** D = HMAC-SHA-256(key bytes, "fuselink device v1"), sealed for the key's row. */
export function sealDeviceSecret(
  deps: Pick<Deps, 'crypto' | 'keyring'>,
  device: DeviceId,
  key: Uint8Array,
): Uint8Array {
  const secret = deps.crypto.hmacSha256(key, utf8(DEVICE_SECRET_LABEL));
  return deps.keyring.seal(PURPOSE, device, secret);
}

/** D of a device key, or null where it was never seen since the server keeps it (or its FUSELINK_SECRET is gone). */
export function deviceSecretOf(deps: Pick<Deps, 'keyring'>, row: KeyRow): Uint8Array | null {
  if (row.sealed_device_secret === null || row.device_id === null) return null;
  return deps.keyring.open(PURPOSE, row.device_id, row.sealed_device_secret);
}

/** `key` (32 bytes) wrapped for the holder of D: 40 bytes, AES key wrap [RFC 3394]. */
export function wrapForDevice(deps: Pick<Deps, 'crypto'>, deviceSecret: Uint8Array, key: Uint8Array): Uint8Array {
  return deps.crypto.wrapKey(deps.crypto.hmacSha256(deviceSecret, utf8(OFFER_WRAP_LABEL)), key);
}
