import { DEVICE_SECRET_LABEL, KEY_BYTES, OFFER_WRAP_LABEL, SECRET_WRAP_LABEL } from '#sdk/protocol';
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
  return sealSecret(deps, device, deps.crypto.hmacSha256(key, utf8(DEVICE_SECRET_LABEL)));
}

/** D itself, sealed: of a key that the server never saw, whose device handed D over. */
export function sealSecret(deps: Pick<Deps, 'keyring'>, device: DeviceId, secret: Uint8Array): Uint8Array {
  return deps.keyring.seal(PURPOSE, device, secret);
}

/** D of a new key, from its 40 wrapped bytes under D of the present one; null where they are not that. */
export function unwrapSecret(
  deps: Pick<Deps, 'crypto'>,
  presentSecret: Uint8Array,
  wrapped: Uint8Array,
): Uint8Array | null {
  const secret = deps.crypto.unwrapKey(deps.crypto.hmacSha256(presentSecret, utf8(SECRET_WRAP_LABEL)), wrapped);
  return secret?.length === KEY_BYTES ? secret : null;
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
