import { PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, type SigningKeyAnswer } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import type { DeviceRow, SigningKeyRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireManagement, requireWriter, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decodeCursor, encodeCursor } from '../paging.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { changedDetail, checkedPublicKey, firstKey, keyOnFile, replacedKey } from './keys-on-file.ts';

export interface ListSigningKeys {
  /** Id or name of one device. */
  device?: string | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

/** Signing keys of the account's devices, newest first; device keys look up one device at a time. */
export async function listSigningKeys(
  deps: Deps,
  caller: Caller,
  query: ListSigningKeys,
): Promise<{ signing_keys: SigningKeyAnswer[]; next_cursor: string | null }> {
  if (query.device !== undefined) {
    const device = await findDevice(deps, caller, query.device);
    const row = device === null ? null : await deps.store.get('signing_keys', { device_id: device.id });
    const found = device === null || row === null || row.removed_at_ms !== null ? [] : [answer(deps, row, device)];
    return { signing_keys: found, next_cursor: null };
  }
  if (caller.key.kind !== 'account') {
    throw new FuselinkError('role_insufficient', `Expected ?device= with a ${caller.key.kind} key, got none.`);
  }
  const limit = Math.min(query.limit ?? PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX);
  const after = decodeCursor(query.cursor, ['number', 'string']);
  const rows = await deps.store.list('signing_keys', {
    where: [
      ['account_id', '=', caller.accountId],
      ['removed_at_ms', 'is-null'],
    ],
    orderBy: [
      ['created_at_ms', 'desc'],
      ['device_id', 'desc'],
    ],
    ...(after === null ? {} : { after }),
    limit: limit + 1,
  });
  const page = rows.slice(0, limit);
  const last = page[page.length - 1];
  const more = rows.length > limit && last !== undefined;
  const devices = await Promise.all(page.map((row) => deps.store.get('devices', { id: row.device_id })));
  return {
    signing_keys: page.map((row, at) => answer(deps, row, devices[at] ?? null)),
    next_cursor: more ? encodeCursor([last.created_at_ms, last.device_id]) : null,
  };
}

/**
 * A device registers the key it signs with. The first one is taken as it comes; another one is refused with
 * `signing_key_changed` until an operator has removed the old one: whoever steals an API key must not be able to sign as
 * the device. It is then an alarm until it is confirmed.
 */
export async function registerSigningKey(
  deps: Deps,
  caller: Caller,
  what: { publicKey: string },
): Promise<{ signingKey: SigningKeyAnswer; created: boolean }> {
  const { deviceId } = caller;
  if (deviceId === null || caller.key.kind !== 'device') {
    throw new FuselinkError(
      'device_key_required',
      `Expected the key of the device that signs, got a key of kind ${caller.key.kind}.`,
    );
  }
  requireWriter(caller);
  const key = checkedPublicKey(deps, 'signer', what.publicKey);
  return decideAndCommit<{ signingKey: SigningKeyAnswer; created: boolean }>(deps.store, async () => {
    const nowMs = deps.clock.nowMs();
    const [device, known] = await Promise.all([
      deps.store.get('devices', { id: deviceId }),
      deps.store.get('signing_keys', { device_id: deviceId }),
    ]);
    const audit = (action: string, detail: Record<string, unknown>) =>
      auditOf(caller, nowMs, { action, subject: deviceId, detail: { ...detail, fingerprint: key.fingerprint } });
    if (known === null) {
      const row: SigningKeyRow = {
        device_id: deviceId,
        account_id: caller.accountId,
        ...firstKey(key, nowMs),
        version: 1,
      };
      return {
        answer: { signingKey: answer(deps, row, device), created: true },
        writes: [
          { kind: 'insert', table: 'signing_keys', row },
          ...whileKeyHolds(caller),
          audit('signing_key.registered', {}),
        ],
      };
    }
    const changed = known.fingerprint !== key.fingerprint;
    if (!changed && known.removed_at_ms === null) {
      return { answer: { signingKey: answer(deps, known, device), created: false }, writes: [] };
    }
    if (changed && known.removed_at_ms === null) {
      const detail = changedDetail('This device', known.fingerprint, key.fingerprint);
      throw new FuselinkError(
        'signing_key_changed',
        `${detail} If the device was set up anew, its operator removes the old key first.`,
      );
    }
    const next: SigningKeyRow = { ...known, ...replacedKey(known, key, nowMs), version: known.version + 1 };
    return {
      answer: { signingKey: answer(deps, next, device), created: true },
      writes: [
        { kind: 'update', table: 'signing_keys', row: next, expectVersion: known.version },
        ...whileKeyHolds(caller),
        changed
          ? audit('signing_key.changed', { earlier_fingerprint: known.fingerprint, alarm: true })
          : audit('signing_key.registered', {}),
      ],
    };
  });
}

/** Takes a device's signing key off the files, so that it can register another one. */
export function removeSigningKey(deps: Deps, caller: Caller, deviceId: DeviceId): Promise<SigningKeyAnswer> {
  return changeSigningKey(deps, caller, deviceId, 'signing_key.removed', (row, nowMs) => ({
    ...row,
    removed_at_ms: nowMs,
  }));
}

/** Ends the alarm of a changed signing key: somebody compared `fingerprint` with what the device shows. */
export function confirmSigningKey(
  deps: Deps,
  caller: Caller,
  what: { deviceId: DeviceId; fingerprint: string },
): Promise<SigningKeyAnswer> {
  return changeSigningKey(deps, caller, what.deviceId, 'signing_key.confirmed', (row) => {
    if (row.fingerprint !== what.fingerprint.toLowerCase()) {
      throw new FuselinkError(
        'signing_key_changed',
        'The key on file does not have the fingerprint that was compared.',
      );
    }
    return { ...row, alarm_since_ms: null };
  });
}

async function changeSigningKey(
  deps: Deps,
  caller: Caller,
  deviceId: DeviceId,
  action: string,
  change: (row: SigningKeyRow, nowMs: number) => SigningKeyRow,
): Promise<SigningKeyAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  return decideAndCommit(deps.store, async () => {
    const row = await deps.store.get('signing_keys', { device_id: deviceId });
    if (row === null || row.account_id !== caller.accountId || row.removed_at_ms !== null) {
      throw new FuselinkError('not_found', 'There is no such signing key.');
    }
    const nowMs = deps.clock.nowMs();
    const next = { ...change(row, nowMs), version: row.version + 1 };
    return {
      answer: answer(deps, next, await deps.store.get('devices', { id: deviceId })),
      writes: [
        { kind: 'update', table: 'signing_keys', row: next, expectVersion: row.version },
        auditOf(caller, nowMs, { action, subject: deviceId, detail: { fingerprint: row.fingerprint } }),
      ],
    };
  });
}

async function findDevice(deps: Deps, caller: Caller, nameOrId: string): Promise<DeviceRow | null> {
  const byId = await deps.store.get('devices', { id: nameOrId as DeviceId });
  if (byId !== null && byId.account_id === caller.accountId) return byId;
  return deps.store.get('devices', { account_id: caller.accountId, name: nameOrId });
}

function answer(deps: Deps, row: SigningKeyRow, device: DeviceRow | null): SigningKeyAnswer {
  return { device_id: row.device_id, device_name: device?.name ?? '(deleted)', ...keyOnFile(deps, row) };
}
