import type { KeyId } from '../../domain/ids.ts';
import type { DeviceRow, GatewayRow, KeyRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { livingKeys } from '../rotation/record.ts';
import { pagesOf } from '../rows.ts';

export interface KeyThatIsOut {
  key: KeyRow;
  /** Of a device key; null where the device was removed. */
  device: DeviceRow | null;
  /** Of a gateway key. */
  gateway: GatewayRow | null;
}

/**
 * The account's key that a person means: by its id or fingerprint, or by the id or name of the device whose key it is
 * (then its active one). Throws `not_found`.
 */
export async function findKeyThatIsOut(deps: Deps, caller: Caller, text: string): Promise<KeyThatIsOut> {
  const key =
    (await ofDevice(deps, caller, text)) ?? (await byId(deps, caller, text)) ?? (await byPrint(deps, caller, text));
  if (key === null) {
    throw new FuselinkError(
      'not_found',
      'There is no such key: expected the id or fingerprint of a key of this account, or the id or name of a device.',
    );
  }
  const device = key.device_id === null ? null : await deps.store.get('devices', { id: key.device_id });
  const gateway = key.kind === 'gateway' ? await deps.store.get('gateways', { key_id: key.id }) : null;
  return { key, device, gateway };
}

async function ofDevice(deps: Deps, caller: Caller, text: string): Promise<KeyRow | null> {
  const named = await deps.store.get('devices', { account_id: caller.accountId, name: text });
  const device = named ?? (await deps.store.get('devices', { id: text as DeviceRow['id'] }));
  if (device === null || device.account_id !== caller.accountId) return null;
  const keys = await livingKeys(deps, device.id);
  return keys.find(({ state }) => state === 'active' || state === 'quarantined') ?? keys[0] ?? null;
}

async function byId(deps: Deps, caller: Caller, text: string): Promise<KeyRow | null> {
  const row = await deps.store.get('api_keys', { id: text as KeyId });
  return row !== null && row.account_id === caller.accountId ? row : null;
}

/** Fingerprints are looked for one by one: an incident is rare, and an index on them would be kept up for every key. */
async function byPrint(deps: Deps, caller: Caller, text: string): Promise<KeyRow | null> {
  const fingerprint = text.trim().toLowerCase();
  if (!/^[0-9a-f]{16}$/.test(fingerprint)) return null;
  const pages = pagesOf(deps, 'api_keys', {
    where: [['account_id', '=', caller.accountId]],
    orderBy: [
      ['created_at_ms', 'asc'],
      ['id', 'asc'],
    ],
  });
  for await (const rows of pages) {
    const found = rows.find((row) => row.fingerprint === fingerprint);
    if (found !== undefined) return found;
  }
  return null;
}
