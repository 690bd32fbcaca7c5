import { FINGERPRINT_BYTES, FINGERPRINT_LABEL, KEY_BYTES, KEY_PREFIX_CHARS, type Role } from '#sdk/protocol';
import { toBase64url, toHex, utf8 } from '../../domain/base64url.ts';
import { keyHex } from '../../domain/credential/api-key.ts';
import type { AccountId, DeviceId, KeyId } from '../../domain/ids.ts';
import type { Crypto } from '../../ports/crypto.ts';
import type { KeyRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { sealDeviceSecret } from '../device/device-secret.ts';
import { newId } from '../new-id.ts';

/** base64url(SHA-256(key bytes)): what the server keeps of a key. */
export function hashOfKey(crypto: Crypto, bytes: Uint8Array): string {
  return toBase64url(crypto.sha256(bytes));
}

/** First 8 bytes of SHA-256("fuselink fp" ‖ key bytes), as 16 hex characters. Names a key without giving it away. */
export function fingerprintOfKey(crypto: Crypto, bytes: Uint8Array): string {
  return toHex(crypto.sha256(utf8(FINGERPRINT_LABEL), bytes).subarray(0, FINGERPRINT_BYTES));
}

export interface MintKey {
  accountId: AccountId;
  kind: KeyRow['kind'];
  deviceId: DeviceId | null;
  name: string;
  role: Role;
  generation?: number;
  state?: KeyRow['state'];
  /** 32 key bytes and how they are written, where they are not 32 random bytes in hex. */
  key?: { bytes: Uint8Array; text: string };
}

/** A new key's row, and the key as it is shown: once, to whoever asked for it. */
export function mintKey(deps: Deps, what: MintKey): { row: KeyRow; key: string } {
  const bytes = what.key?.bytes ?? deps.random.bytes(KEY_BYTES);
  const text = what.key?.text ?? keyHex(bytes);
  const row: KeyRow = {
    id: newId(deps, 'key') as KeyId,
    account_id: what.accountId,
    kind: what.kind,
    device_id: what.deviceId,
    name: what.name,
    prefix: text.slice(0, KEY_PREFIX_CHARS),
    hash: hashOfKey(deps.crypto, bytes),
    fingerprint: fingerprintOfKey(deps.crypto, bytes),
    role: what.role,
    state: what.state ?? 'active',
    generation: what.generation ?? 1,
    created_at_ms: deps.clock.nowMs(),
    last_used_at_ms: null,
    revoked_at_ms: null,
    sealed_device_secret: what.deviceId === null ? null : sealDeviceSecret(deps, what.deviceId, bytes),
    version: 1,
  };
  return { row, key: text };
}
