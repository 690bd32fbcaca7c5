import type { IncidentDevice, IncidentKey, IncidentTransfer } from '#sdk/protocol';
import type { DeviceId, KeyId } from '../../domain/ids.ts';
import type { Condition } from '../../ports/metadata-store.ts';
import type { GatewayRow, KeyRow, TransferRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import { devicesBehind } from '../campaign/gateways.ts';
import type { Deps } from '../deps.ts';
import { loadRotation } from '../rotation/record.ts';
import { pagesOf } from '../rows.ts';
import { type Evidence, LISTED_MAX } from './evidence.ts';
import type { KeyThatIsOut } from './find-key.ts';

/** Gateways an account is taken to have: as many as are listed anywhere. */
const GATEWAYS_MAX = 200;

/** What is to be replaced along with the key. */
export type Scope = 'person-and-place' | 'person' | 'place' | 'none';

export interface Reach {
  gateways: GatewayRow[];
  devices: IncidentDevice[];
  keys: IncidentKey[];
}

/** The other devices and keys that the same people could have seen, or that were at the same place. */
export async function reachOf(
  deps: Deps,
  caller: Caller,
  at: { out: KeyThatIsOut; evidence: Evidence; scope: Scope },
): Promise<Reach> {
  const { out, evidence, scope } = at;
  const byPerson = scope === 'person-and-place' || scope === 'person';
  const byPlace = scope === 'person-and-place' || scope === 'place';
  const shares = new Map<DeviceId, Set<string>>();
  const share = (id: DeviceId, what: string) => {
    if (id !== out.key.device_id) shares.set(id, (shares.get(id) ?? new Set()).add(what));
  };
  const keys = new Map<string, KeyRow>();
  if (byPerson) for (const id of evidence.ofPeople) await personal(deps, id, share, keys);
  const gateways = await gatewaysSpeakingFor(deps, caller, out);
  if (byPlace) {
    for (const gateway of gateways) {
      for (const id of await devicesBehind(deps, gateway.id)) share(id, 'gateway');
      await addKey(deps, gateway.key_id, keys);
    }
    for (const id of evidence.usedThere) {
      const key = await deps.store.get('api_keys', { id });
      if (key?.device_id != null) share(key.device_id, 'address');
      else if (key !== null) keys.set(key.id, key);
    }
  }
  keys.delete(out.key.id);
  const devices: IncidentDevice[] = [];
  for (const [id, what] of shares) {
    const device = await deps.store.get('devices', { id });
    if (device === null || device.account_id !== caller.accountId) continue;
    const { record } = await loadRotation(deps, { id, accountId: device.account_id });
    devices.push({ id, name: device.name, shares: [...what], state: record.state });
  }
  devices.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    gateways,
    devices,
    keys: [...keys.values()].filter(({ state }) => state !== 'revoked').map(keyOf),
  };
}

export function keyOf({ id, kind, name, fingerprint }: KeyRow): IncidentKey {
  return { id, kind, name, fingerprint };
}

async function personal(
  deps: Deps,
  subject: string,
  share: (id: DeviceId, what: string) => void,
  keys: Map<string, KeyRow>,
): Promise<void> {
  if ((await deps.store.get('devices', { id: subject as DeviceId })) !== null) share(subject as DeviceId, 'person');
  const gateway = await deps.store.get('gateways', { id: subject as GatewayRow['id'] });
  await addKey(deps, gateway?.key_id ?? (subject as KeyId), keys);
}

async function addKey(deps: Deps, id: KeyId, keys: Map<string, KeyRow>): Promise<void> {
  const key = await deps.store.get('api_keys', { id });
  if (key !== null && key.kind !== 'device') keys.set(key.id, key);
}

async function gatewaysSpeakingFor(deps: Deps, caller: Caller, out: KeyThatIsOut): Promise<GatewayRow[]> {
  if (out.gateway !== null) return [out.gateway];
  if (out.key.device_id === null) return [];
  const all = await deps.store.list('gateways', {
    where: [['account_id', '=', caller.accountId]],
    orderBy: [
      ['created_at_ms', 'asc'],
      ['id', 'asc'],
    ],
    limit: GATEWAYS_MAX,
  });
  const found: GatewayRow[] = [];
  for (const gateway of all) {
    const listed = await deps.store.get('gateway_devices', { id: `${gateway.id}/${out.key.device_id}` });
    if (listed !== null) found.push(gateway);
  }
  return found;
}

export interface SentUnder {
  transfers: IncidentTransfer[];
  total: number;
  unread: number;
  read: number;
}

/** What was sent under the key, and how far it has got. */
export async function sentUnder(deps: Deps, keyId: KeyId): Promise<SentUnder> {
  const sent: SentUnder = { transfers: [], total: 0, unread: 0, read: 0 };
  const where: Condition<TransferRow>[] = [['key_id', '=', keyId]];
  const pages = pagesOf(deps, 'transfers', {
    where,
    orderBy: [
      ['created_at_ms', 'desc'],
      ['id', 'desc'],
    ],
  });
  for await (const rows of pages) {
    for (const row of rows) {
      sent.total++;
      if (row.state === 'ready' || row.state === 'uploading') sent.unread++;
      if (row.state === 'claimed' || row.state === 'burned') sent.read++;
      if (sent.transfers.length >= LISTED_MAX) continue;
      sent.transfers.push({
        id: row.id,
        state: row.state,
        created_at: new Date(row.created_at_ms).toISOString(),
        end_to_end: row.end_to_end,
      });
    }
  }
  return sent;
}
