import {
  formatRotationTold,
  HEADER_ROTATION,
  RECOVERY_LABEL,
  RECOVERY_PROOF_LABEL,
  type RegistrationAnswer,
  STATUS_REPORTS_PER_WINDOW,
} from '#sdk/protocol';
import { fromHex, utf8 } from '../../domain/base64url.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { DeviceKeyState } from '../../domain/rotation/index.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { RotationRecordRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { sealSecret, unwrapSecret } from '../device/device-secret.ts';
import { FuselinkError } from '../error.ts';
import { decideRotation, type NewDeviceKey } from './decide.ts';
import { gateOf } from './gate.ts';
import { tellingFor, toldOf } from './hear.ts';
import { loadRotation } from './record.ts';
import { checkStaged, keyOfStaged, knownState, registrationAnswer, type StagedKey } from './register.ts';

const PURPOSE = 'recovery secret';
const WINDOW_MS = 60_000;
/** Races one recovery may lose before it is told to come again. */
const TRIES_MAX = 20;

export interface RecoveryProof extends StagedKey {
  deviceId: DeviceId;
  /** Fingerprint of the key the staged one stands beside. */
  base: string;
  /** HMAC-SHA-256, 64 hex characters (sdk/protocol/limits.ts). */
  proof: string;
}

/** What the server keeps of a recovery secret: enough to check a proof, and nothing that is one. */
export function sealRecovery(deps: Pick<Deps, 'crypto' | 'keyring'>, id: DeviceId, secret: Uint8Array): Uint8Array {
  return deps.keyring.seal(PURPOSE, id, deps.crypto.sha256(utf8(RECOVERY_LABEL), secret));
}

/**
 * Registers a staged key on the word of the recovery secret alone: for a device whose keys are quarantined, revoked or
 * unknown here. A device that signs hands over D of that key as well: under a key that the server knows by its digest alone
 * nobody could check a signature. Throws `recovery_refused` for a proof that does not hold (whether there is such a device is not told).
 */
export async function recoverDevice(deps: Deps, proof: RecoveryProof, from: string): Promise<RegistrationAnswer> {
  checkStaged(proof);
  const device = await deps.store.get('devices', { id: proof.deviceId });
  const record = device === null ? null : await deps.store.get('rotations', { device_id: proof.deviceId });
  if (record === null || !isProven(deps, record, proof)) {
    throw new FuselinkError(
      'recovery_refused',
      'Expected a proof made with this device’s recovery secret, got another.',
    );
  }
  const sealedDeviceSecret = handedSecret(deps, record, proof);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const loaded = await loadRotation(deps, { id: record.device_id, accountId: record.account_id });
    const gate = await gateOf(deps, loaded.record);
    const newKey = { ...keyOfStaged(proof), sealedDeviceSecret };
    const known = await knownState(deps, record.device_id, newKey);
    const { generation, base, fingerprint } = proof;
    const decision = await decideRotation(
      deps,
      loaded,
      { kind: 'recover', generation, base, fingerprint, paused: gate.paused, known },
      { author: { actor: `recovery:${record.device_id}`, from }, paused: gate.paused, newKey },
    );
    const nowMs = deps.clock.nowMs();
    const outcome = await deps.store.commit([
      {
        kind: 'take',
        id: `recovery ${record.device_id}`,
        atMs: nowMs,
        windowMs: WINDOW_MS,
        max: STATUS_REPORTS_PER_WINDOW,
      },
      ...gate.writes,
      ...decision.writes,
      ...(await secretWrites(deps, newKey, known)),
    ]);
    if (outcome.ok) return await answered(deps, decision.record, proof, decision.outcome.reply);
    if (outcome.reason === 'window-full') {
      throw new FuselinkError('status_limit_exceeded', 'Expected fewer recovery proofs a minute; try again later.', {
        retryAfterSeconds: WINDOW_MS / 1000,
      });
    }
  }
  throw new FuselinkError('conflict', 'The rotation changed again and again meanwhile; try again.');
}

async function answered(
  deps: Deps,
  record: RotationRecordRow,
  proof: RecoveryProof,
  reply: Parameters<typeof registrationAnswer>[0],
): Promise<RegistrationAnswer> {
  try {
    return registrationAnswer(reply, record.rotation.generation, proof.fingerprint);
  } catch (error) {
    // The next wish can only be told here: no other answer reaches a device whose keys are all refused.
    const keys = await deps.store.list('api_keys', {
      where: [
        ['device_id', '=', record.device_id],
        ['fingerprint', '=', proof.base],
      ],
      limit: 1,
    });
    const [key] = keys;
    if (!(error instanceof FuselinkError) || key === undefined) throw error;
    const told = formatRotationTold(toldOf(await tellingFor(deps, record, key), key.fingerprint));
    const headers = told === '' ? {} : { [HEADER_ROTATION]: told };
    throw new FuselinkError(error.code, error.message, { ...error.extras, headers });
  }
}

/** R = SHA-256(RECOVERY_LABEL ‖ recovery secret), or null where there is none. */
function rootOf(deps: Deps, record: RotationRecordRow): Uint8Array | null {
  const { sealed_recovery: sealed } = record;
  return sealed === null ? null : deps.keyring.open(PURPOSE, record.device_id, sealed);
}

/** D of the staged key, sealed, as it came with the proof; null where none came. Throws `invalid_field` for what is none. */
function handedSecret(deps: Deps, record: RotationRecordRow, { wrappedSecret }: RecoveryProof): Uint8Array | null {
  if (wrappedSecret === undefined) return null;
  const root = rootOf(deps, record);
  const bytes = /^[0-9a-f]{80}$/.test(wrappedSecret) ? fromHex(wrappedSecret) : null;
  const secret = root === null || bytes === null ? null : unwrapSecret(deps, root, bytes);
  if (secret !== null) return sealSecret(deps, record.device_id, secret);
  const detail = 'expected the device secret of the staged key wrapped under the recovery secret, got something else';
  throw new FuselinkError('invalid_field', `wrapped_secret: ${detail}.`, {
    errors: [{ field: 'wrapped_secret', detail }],
  });
}

/** A key that is on record by its digest alone, and whose device now says how it will sign: that is kept with it. */
async function secretWrites(deps: Deps, key: NewDeviceKey, known: DeviceKeyState | null): Promise<Write[]> {
  if (known === null || known === 'revoked' || key.sealedDeviceSecret === null) return [];
  const row = await deps.store.get('api_keys', { hash: key.hash });
  if (row === null || row.sealed_device_secret !== null) return [];
  const next = { ...row, sealed_device_secret: key.sealedDeviceSecret, version: row.version + 1 };
  return [{ kind: 'update', table: 'api_keys', row: next, expectVersion: row.version }];
}

function isProven(deps: Deps, record: RotationRecordRow, proof: RecoveryProof): boolean {
  const key = rootOf(deps, record);
  const said = fromHex(proof.proof);
  if (key === null || said === null) return false;
  const words = [RECOVERY_PROOF_LABEL, proof.deviceId, proof.generation, proof.base, proof.fingerprint, proof.sha256];
  return deps.crypto.equal(said, deps.crypto.hmacSha256(key, utf8(words.join('\n'))));
}
