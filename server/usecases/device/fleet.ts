import { type FleetDeviceAnswer, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import type { MetadataStore } from '../../ports/metadata-store.ts';
import type { DeviceRow, KeyRow, RotationRecordRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decodeCursor, encodeCursor, type PageQuery } from '../paging.ts';
import { findDevice } from '../rotation/operate.ts';
import { LIVING_KEY_STATES } from '../rotation/record.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { checkLabel, deviceAnswer } from './enrol-device.ts';

/** Rows read at a time while a search goes through the fleet. */
const BATCH_ROWS = 500;
/** Rows one request may look through: a page that found less comes back with a cursor to go on from. */
const LOOKED_AT_MAX = 20_000;
/** Keys of a device that are not at their end: three at most, and one to spare. */
const LIVING_KEYS_MAX = 4;

export interface FleetQuery extends PageQuery {
  /** Part of a name, profile, tag or group, in any case; or a whole id. */
  text?: string | undefined;
  tag?: string | undefined;
  profile?: string | undefined;
  /** State of the device's rotation. */
  rotationState?: string | undefined;
}

interface Page {
  rows: DeviceRow[];
  next_cursor: string | null;
}

/**
 * A page of the account's devices with how their keys stand: newest first, or, by rotation state, in the order of
 * their ids. `total` counts the whole fleet, whatever was asked for.
 */
export async function listFleet(
  deps: Deps,
  caller: Caller,
  query: FleetQuery,
): Promise<{ devices: FleetDeviceAnswer[]; next_cursor: string | null; total: number }> {
  requireAccountKey(caller);
  const page = await (query.rotationState === undefined ? newest : inState)(deps.store, caller, query);
  const { rows: total } = await deps.store.count('devices', { where: [['account_id', '=', caller.accountId]] });
  return { devices: await withKeys(deps.store, page.rows), next_cursor: page.next_cursor, total };
}

async function newest(store: MetadataStore, caller: Caller, query: FleetQuery): Promise<Page> {
  return collect(query, ['number', 'string'], {
    place: (row) => [row.created_at_ms, row.id],
    read: (after, limit) =>
      store.list('devices', {
        where: [['account_id', '=', caller.accountId]],
        orderBy: [
          ['created_at_ms', 'desc'],
          ['id', 'desc'],
        ],
        ...(after === null ? {} : { after }),
        limit,
      }),
  });
}

async function inState(store: MetadataStore, caller: Caller, query: FleetQuery): Promise<Page> {
  return collect(query, ['string'], {
    place: (row) => [row.id],
    async read(after, limit) {
      const records = await store.list('rotations', {
        where: [
          ['account_id', '=', caller.accountId],
          ['state', '=', query.rotationState ?? ''],
        ],
        orderBy: [['device_id', 'asc']],
        ...(after === null ? {} : { after }),
        limit,
      });
      if (records.length === 0) return [];
      const rows = await store.list('devices', {
        where: [['id', 'in', records.map(({ device_id }) => device_id)]],
        limit,
      });
      const known = new Map(rows.map((row) => [row.id, row]));
      // What was removed has its record still, for its story: it keeps its place, and is shown to nobody.
      return records.map(({ device_id }) => known.get(device_id) ?? ({ id: device_id, account_id: '' } as DeviceRow));
    },
  });
}

/** Reads on until a page is full, the rows end, or enough were looked at for one request. */
async function collect(
  query: FleetQuery,
  cursorTypes: readonly ('string' | 'number')[],
  source: {
    place(row: DeviceRow): (string | number)[];
    read(after: (string | number)[] | null, limit: number): Promise<DeviceRow[]>;
  },
): Promise<Page> {
  const limit = Math.min(query.limit ?? PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX);
  const fits = fitsQuery(query);
  const searches = query.text !== undefined || query.tag !== undefined || query.profile !== undefined;
  const batch = searches ? BATCH_ROWS : limit + 1;
  const found: DeviceRow[] = [];
  let after = decodeCursor(query.cursor, cursorTypes);
  for (let lookedAt = 0; lookedAt < LOOKED_AT_MAX; lookedAt += batch) {
    const rows = await source.read(after, batch);
    for (const row of rows) if (row.account_id !== '' && fits(row)) found.push(row);
    if (found.length > limit) {
      const last = found[limit - 1] as DeviceRow;
      return { rows: found.slice(0, limit), next_cursor: encodeCursor(source.place(last)) };
    }
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < batch) return { rows: found, next_cursor: null };
    after = source.place(last);
  }
  return { rows: found, next_cursor: after === null ? null : encodeCursor(after) };
}

function fitsQuery({ text, tag, profile }: FleetQuery): (row: DeviceRow) => boolean {
  const wanted = text?.trim().toLowerCase() ?? '';
  return (row) => {
    if (profile !== undefined && row.profile !== profile) return false;
    if (tag !== undefined && !row.tags.includes(tag)) return false;
    if (wanted === '') return true;
    if (row.id === text) return true;
    return [row.name, row.profile, ...row.tags, ...row.groups].some((word) => word.toLowerCase().includes(wanted));
  };
}

/** The devices with their rotations and keys: two reads for a page, however long it is. */
async function withKeys(store: MetadataStore, devices: readonly DeviceRow[]): Promise<FleetDeviceAnswer[]> {
  if (devices.length === 0) return [];
  const ids = devices.map(({ id }) => id);
  const [rotations, keys] = await Promise.all([
    store.list('rotations', { where: [['device_id', 'in', ids]], limit: ids.length }),
    store.list('api_keys', {
      where: [
        ['device_id', 'in', ids],
        ['state', 'in', LIVING_KEY_STATES],
      ],
      limit: ids.length * LIVING_KEYS_MAX,
    }),
  ]);
  const byDevice = new Map(rotations.map((record) => [record.device_id, record]));
  const keysOf = new Map<string | null, KeyRow[]>();
  for (const key of keys) keysOf.set(key.device_id, [...(keysOf.get(key.device_id) ?? []), key]);
  return devices.map((row) => fleetDevice(row, byDevice.get(row.id), keysOf.get(row.id) ?? []));
}

function fleetDevice(
  row: DeviceRow,
  record: RotationRecordRow | undefined,
  keys: readonly KeyRow[],
): FleetDeviceAnswer {
  const key =
    record === undefined
      ? keys.find(({ state }) => state === 'active')
      : keys.find(({ fingerprint }) => fingerprint === record.rotation.active);
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    ...deviceAnswer(row),
    key:
      key === undefined
        ? null
        : {
            fingerprint: key.fingerprint,
            state: key.state,
            generation: key.generation,
            created_at: new Date(key.created_at_ms).toISOString(),
            last_used_at: iso(key.last_used_at_ms),
          },
    rotation_state: record?.state ?? 'IDLE',
    campaign_id: record?.campaign_id ?? null,
  };
}

/** One device; throws `not_found` for a stranger's. */
export async function lookAtDevice(deps: Deps, caller: Caller, id: DeviceId): Promise<FleetDeviceAnswer> {
  const [answer] = await withKeys(deps.store, [await findDevice(deps, caller, id)]);
  return answer as FleetDeviceAnswer;
}

export interface DeviceChanges {
  name?: string | undefined;
  profile?: string | undefined;
  tags?: string[] | undefined;
  groups?: string[] | undefined;
}

/** Changes what is given of how a device is named and sorted. Throws `conflict` where the account has one of that name. */
export async function changeDevice(
  deps: Deps,
  caller: Caller,
  id: DeviceId,
  what: DeviceChanges,
): Promise<FleetDeviceAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const changed = {
    ...(what.name === undefined ? {} : { name: checkLabel('name', what.name) }),
    ...(what.profile === undefined ? {} : { profile: checkLabel('profile', what.profile) }),
    ...(what.tags === undefined ? {} : { tags: what.tags.map((tag) => checkLabel('tags', tag)) }),
    ...(what.groups === undefined ? {} : { groups: what.groups.map((group) => checkLabel('groups', group)) }),
  };
  await decideAndCommit(deps.store, async () => {
    const device = await findDevice(deps, caller, id);
    const taken =
      changed.name === undefined || changed.name === device.name
        ? null
        : await deps.store.get('devices', { account_id: device.account_id, name: changed.name });
    if (taken !== null) {
      throw new FuselinkError('conflict', `name: there is a device called "${taken.name}" already.`);
    }
    const next: DeviceRow = { ...device, ...changed, version: device.version + 1 };
    return {
      answer: undefined,
      writes: [
        { kind: 'update', table: 'devices', row: next, expectVersion: device.version },
        auditOf(caller, deps.clock.nowMs(), { action: 'device.changed', subject: id, detail: changed }),
      ],
    };
  });
  return lookAtDevice(deps, caller, id);
}
