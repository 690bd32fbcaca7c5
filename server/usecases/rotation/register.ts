import { KEY_BYTES, type RegistrationAnswer } from '#sdk/protocol';
import { fromHex, toBase64url, toHex } from '../../domain/base64url.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { DeviceKeyState, Reply, RotationCommand } from '../../domain/rotation/index.ts';
import { type Caller, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { deviceSecretOf, sealDeviceSecret, sealSecret, unwrapSecret, wrapForDevice } from '../device/device-secret.ts';
import { FuselinkError } from '../error.ts';
import { fingerprintOfKey, hashOfKey } from '../key/mint-key.ts';
import { type Decision, decideRotation, type NewDeviceKey } from './decide.ts';
import { gateOf } from './gate.ts';
import { authorOf, type DeviceCaller, noteCommit } from './hear.ts';
import { loadRotation } from './record.ts';
import { refreshKey, requireDevice, statusTake, tooManyReports } from './report.ts';

/** A key a device has staged: it stays on the device, and only its digest and fingerprint travel. */
export interface StagedKey {
  generation: number;
  /** SHA-256 of the 32 key bytes, 64 hex characters. */
  sha256: string;
  /** 16 hex characters. */
  fingerprint: string;
  /**
   * D of the staged key, wrapped under D of the present one, or under the recovery root where that vouches (80 hex
   * characters): of a key that will sign and never travel.
   */
  wrappedSecret?: string | undefined;
}

/**
 * Registers the key the device has staged (source `self`), with its present key. A repeat is answered as the first was.
 * Throws `rotation_refused` for a key that was not taken: it is recorded as revoked, so that whatever still comes under
 * it is told so. `rotation_paused` and 429 mean try later.
 */
export async function registerKey(deps: Deps, caller: Caller, staged: StagedKey): Promise<RegistrationAnswer> {
  const device = requireDevice(caller);
  checkStaged(staged);
  const sealedDeviceSecret = await handedSecret(deps, device, staged.wrappedSecret);
  const newKey = { ...keyOfStaged(staged), sealedDeviceSecret };
  const { outcome } = await decideForDevice(deps, device, newKey, async (paused) => ({
    kind: 'register',
    by: device.key.fingerprint,
    generation: staged.generation,
    fingerprint: staged.fingerprint,
    paused,
    known: await knownState(deps, device.deviceId, newKey),
  }));
  return registrationAnswer(outcome.reply, outcome.row.generation, staged.fingerprint);
}

/**
 * The key the server has drawn for a device that asks (source `offer`), wrapped so that only the holder of the present
 * key can open it. Nothing secret is kept: a lost answer is healed by asking again, under the next generation.
 */
export async function offerKey(
  deps: Deps,
  caller: Caller,
  generation: number,
): Promise<{ generation: number; base: string; fingerprint: string; wrapped_key: string }> {
  const device = requireDevice(caller);
  checkGeneration(generation);
  const row = await deps.store.get('api_keys', { id: device.key.id });
  const secret = row === null ? null : deviceSecretOf(deps, row);
  if (secret === null) {
    throw new FuselinkError(
      'rotation_refused',
      'The server keeps no device secret of this key: it cannot wrap an offer.',
    );
  }
  const bytes = deps.random.bytes(KEY_BYTES);
  const newKey: NewDeviceKey = {
    fingerprint: fingerprintOfKey(deps.crypto, bytes),
    hash: hashOfKey(deps.crypto, bytes),
    prefix: toHex(bytes.subarray(0, 4)),
    sealedDeviceSecret: sealDeviceSecret(deps, device.deviceId, bytes),
  };
  const { fingerprint } = newKey;
  const by = device.key.fingerprint;
  const { outcome } = await decideForDevice(deps, device, newKey, async (paused) => ({
    kind: 'ask',
    by,
    generation,
    fingerprint,
    paused,
  }));
  if (outcome.reply !== 'done') registrationAnswer(outcome.reply, outcome.row.generation, fingerprint);
  const wrapped_key = toHex(wrapForDevice(deps, secret, bytes));
  return { generation: outcome.row.generation, base: by, fingerprint, wrapped_key };
}

/** The device secret that came with a registration, sealed; null where none came. Throws `invalid_field` for what is none. */
async function handedSecret(deps: Deps, device: DeviceCaller, wrapped?: string): Promise<Uint8Array | null> {
  if (wrapped === undefined) return null;
  const row = await deps.store.get('api_keys', { id: device.key.id });
  const present = row === null ? null : deviceSecretOf(deps, row);
  const bytes = /^[0-9a-f]{80}$/.test(wrapped) ? fromHex(wrapped) : null;
  const secret = present === null || bytes === null ? null : unwrapSecret(deps, present, bytes);
  if (secret !== null) return sealSecret(deps, device.deviceId, secret);
  const detail = 'expected a device secret wrapped under that of the present key, got something else';
  throw new FuselinkError('invalid_field', `wrapped_secret: ${detail}.`, {
    errors: [{ field: 'wrapped_secret', detail }],
  });
}

async function decideForDevice(
  deps: Deps,
  device: DeviceCaller,
  newKey: NewDeviceKey,
  commandFor: (paused: boolean) => Promise<RotationCommand>,
): Promise<Decision> {
  for (;;) {
    const loaded = await loadRotation(deps, { id: device.deviceId, accountId: device.accountId });
    const gate = await gateOf(deps, loaded.record);
    const author = authorOf(device);
    const command = await commandFor(gate.paused);
    const decision = await decideRotation(deps, loaded, command, { author, paused: gate.paused, newKey });
    const committed = await deps.store.commit([
      ...whileKeyHolds(device),
      statusTake(device, deps.clock.nowMs()),
      ...gate.writes,
      ...decision.writes,
    ]);
    if (committed.ok) {
      noteCommit(device, decision.outcome.alarms);
      return decision;
    }
    if (committed.reason === 'window-full') throw await tooManyReports(deps, device);
    await refreshKey(deps, device);
  }
}

export function keyOfStaged(staged: StagedKey): NewDeviceKey {
  return {
    fingerprint: staged.fingerprint,
    hash: toBase64url(fromHex(staged.sha256) ?? new Uint8Array(0)),
    prefix: '',
    sealedDeviceSecret: null,
  };
}

/**
 * The state of a key that is already on record for this device, or null. Throws `rotation_refused` where digest and
 * fingerprint are not both of the same key, or where the key is somebody else's.
 */
export async function knownState(
  deps: Deps,
  deviceId: DeviceId,
  key: { hash: string; fingerprint: string },
): Promise<DeviceKeyState | null> {
  const row = await deps.store.get('api_keys', { hash: key.hash });
  if (row !== null && (row.device_id !== deviceId || row.fingerprint !== key.fingerprint)) throw notOneKey();
  if (row !== null) return row.state;
  const named = await deps.store.list('api_keys', {
    where: [
      ['device_id', '=', deviceId],
      ['fingerprint', '=', key.fingerprint],
    ],
    limit: 1,
  });
  if (named.length > 0) throw notOneKey();
  return null;
}

function notOneKey(): FuselinkError {
  return new FuselinkError(
    'rotation_refused',
    'Expected the digest and the fingerprint of one key that is new or this device’s own, got something else.',
  );
}

/** The answer of a registration; throws what is not a success. */
export function registrationAnswer(reply: Reply, generation: number, fingerprint: string): RegistrationAnswer {
  switch (reply) {
    case 'done':
    case 'repeat':
      return { generation, fingerprint, state: 'registered' };
    case 'proposed':
      return { generation, fingerprint, state: 'awaits-approval' };
    case 'wait':
      throw new FuselinkError('rotation_paused', 'Rotations are paused: keep the staged key and try again later.', {
        retryAfterSeconds: 60,
      });
    case 'newer-generation':
      throw new FuselinkError('rotation_superseded', `Expected a key for generation ${generation}, got an older one.`);
    case 'refused':
      throw new FuselinkError(
        'rotation_refused',
        `The key with the fingerprint ${fingerprint} was not taken; generation ${generation} is current.`,
      );
  }
}

export function checkStaged(staged: StagedKey): void {
  checkGeneration(staged.generation);
  const shapes = [
    ['sha256', /^[0-9a-f]{64}$/, '64'],
    ['fingerprint', /^[0-9a-f]{16}$/, '16'],
  ] as const;
  for (const [field, shape, chars] of shapes) {
    if (shape.test(staged[field])) continue;
    const detail = `expected ${chars} lower-case hex characters, got ${staged[field].length} characters`;
    throw new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
  }
}

function checkGeneration(generation: number): void {
  if (Number.isInteger(generation) && generation >= 0 && generation <= 0xffffffff) return;
  const detail = `expected a whole number up to ${0xffffffff}, got ${generation}`;
  throw new FuselinkError('invalid_field', `generation: ${detail}.`, { errors: [{ field: 'generation', detail }] });
}
