import type { DeviceKeyState, RotationRow, RotationSource } from './types.ts';

/** What a key may be used for. `report`: the device's own calls by which it is told its state; `full`: uploads, too. */
export type KeyUse = 'full' | 'report';

/**
 * What becomes of a request by its key. The three refusals are not the same to a device: `key_unknown` and
 * `key_not_yet_valid` mean keep the key and try later, and only `key_revoked` with its fingerprint means drop it.
 */
export type KeyVerdict =
  | { ok: true; use: KeyUse }
  | { ok: false; code: 'key_unknown' }
  | { ok: false; code: 'key_not_yet_valid' }
  | { ok: false; code: 'key_revoked'; fingerprint: string };

/** A device key as stored. `validFromMs`: a key made by hand may begin later. */
export interface StoredDeviceKey {
  fingerprint: string;
  state: DeviceKeyState;
  validFromMs: number | null;
}

/** Judges the key of a request at server time `nowMs`; null is a key the server has no record of. */
export function judgeKey(key: StoredDeviceKey | null, nowMs: number): KeyVerdict {
  if (key === null) return { ok: false, code: 'key_unknown' };
  if (key.state === 'revoked') return { ok: false, code: 'key_revoked', fingerprint: key.fingerprint };
  if (key.validFromMs !== null && key.validFromMs > nowMs) return { ok: false, code: 'key_not_yet_valid' };
  return { ok: true, use: key.state === 'quarantined' ? 'report' : 'full' };
}

/** What every answer to a device tells it of its rotation. */
export interface Telling {
  wanted: { generation: number; base: string; source: RotationSource; recovery: boolean } | null;
  settledGeneration: number | null;
  /** Told with `key_revoked` only: the generation under which a proof with the recovery secret would be taken. */
  recoverableGeneration: number | null;
}

/**
 * What the device is told in the answer to a request under the key `fingerprint`, which stands at `keyState`.
 * `paused`: the campaign's. A wish is told again while a key is pending, so that a device that lost its candidate makes
 * another. It is on the active key; in quarantine, where halfway through a rotation nobody knows which key the device has,
 * on the key of the request.
 */
export function tellDevice(
  row: RotationRow,
  request: { fingerprint: string; keyState: DeviceKeyState; paused: boolean },
): Telling {
  const nothing: Telling = { wanted: null, settledGeneration: null, recoverableGeneration: null };
  if (row.active === null) return nothing;
  if (request.keyState === 'revoked') return { ...nothing, recoverableGeneration: row.generation + 1 };
  const settledGeneration = request.fingerprint === row.active ? row.settledGeneration : null;
  const recovery = row.incident;
  const wish = { generation: row.generation, base: row.active, source: row.source, recovery };
  switch (row.state) {
    case 'WANTED':
    case 'OVERDUE':
      return { ...nothing, settledGeneration, wanted: request.paused ? null : wish };
    case 'MINTED':
      return { ...nothing, settledGeneration, wanted: request.paused && !row.incident ? null : wish };
    case 'QUARANTINED':
      return { ...nothing, wanted: { ...wish, source: 'self', base: request.fingerprint } };
    case 'IDLE':
      return { ...nothing, settledGeneration };
    case 'PROVEN':
    case 'LOST':
    case 'GONE':
      return nothing;
  }
}
