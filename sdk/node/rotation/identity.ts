import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RECOVERY_SECRET_BYTES } from '#sdk/protocol';
import { writeFileAtomic } from '../atomic-file.ts';
import { FuselinkError } from '../errors.ts';

/** Beside the key slots, and not in them: what replaces a key must not be lost with it. */
const IDENTITY_FILE = 'device.json';

/** Who the device is to its server, and what proves it where no key does. */
export interface DeviceIdentity {
  deviceId: string;
  /** 64 hex characters, from enrolment. Used for recovery and nothing else. */
  recoverySecret: string;
}

/** Keeps the identity in the folder of the credential store, durably, 0600. Throws `option_invalid` for what is none. */
export async function saveIdentity(folder: string, identity: DeviceIdentity): Promise<void> {
  if (!isIdentity({ device_id: identity.deviceId, recovery_secret: identity.recoverySecret })) {
    throw new FuselinkError(
      'option_invalid',
      `expected a device id and a recovery secret of ${2 * RECOVERY_SECRET_BYTES} hex characters, got something else`,
    );
  }
  const kept = { device_id: identity.deviceId, recovery_secret: identity.recoverySecret };
  await writeFileAtomic(join(folder, IDENTITY_FILE), `${JSON.stringify(kept)}\n`);
}

/** The identity in the folder, or null: then the device rotates all the same, and only an operator can help it in LIMBO. */
export async function loadIdentity(folder: string): Promise<DeviceIdentity | null> {
  try {
    const kept: unknown = JSON.parse(await readFile(join(folder, IDENTITY_FILE), 'utf8'));
    return isIdentity(kept) ? { deviceId: kept.device_id, recoverySecret: kept.recovery_secret } : null;
  } catch {
    return null;
  }
}

function isIdentity(value: unknown): value is { device_id: string; recovery_secret: string } {
  const kept = value as { device_id?: unknown; recovery_secret?: unknown } | null;
  if (typeof kept?.device_id !== 'string' || typeof kept.recovery_secret !== 'string') return false;
  return /^\w{1,64}$/.test(kept.device_id) && /^[0-9a-f]{64}$/.test(kept.recovery_secret);
}
