import { toBase64url } from '../../domain/base64url.ts';
import { judgeKey } from '../../domain/rotation/index.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { gatewayOf, isListed } from './gateways.ts';

/** Keys one request may ask about: 100 of them are 12 KB of JSON. */
export const SIGN_INS_MAX = 100;

/** A device that wants to sign in at the gateway, by the digest of the key it showed. */
export interface SignInAsked {
  device: string;
  /** SHA-256 of the 32 key bytes, 64 hex characters. */
  keySha256: string;
}

/**
 * `valid`: the device may sign in with it. `unknown`: no key of this device, or no device of this gateway: which of
 * the two is not told. `revoked`: with the key's fingerprint. `quarantined`: it may only report, which a gateway does
 * not take.
 */
export type SignInAnswer =
  | { device_id: string; state: 'valid' | 'revoked' | 'quarantined'; fingerprint: string }
  | { device_id: string; state: 'unknown' };

/**
 * What the keys are that devices showed to a gateway. `used` says that they were shown just now, by the devices
 * themselves; without it the gateway only asks whether what it remembers still holds. Throws `role_insufficient` for
 * callers that are no gateway.
 */
export async function checkSignIns(
  deps: Deps,
  caller: Caller,
  what: { asked: readonly SignInAsked[]; used: boolean },
): Promise<SignInAnswer[]> {
  const gateway = await gatewayOf(deps, caller);
  const nowMs = deps.clock.nowMs();
  const answers: SignInAnswer[] = [];
  for (const { device, keySha256 } of what.asked) {
    const hash = toBase64url(digestBytes(keySha256));
    const key = (await isListed(deps, gateway, device)) ? await deps.store.get('api_keys', { hash }) : null;
    if (key === null || key.device_id !== device || key.account_id !== gateway.account_id) {
      answers.push({ device_id: device, state: 'unknown' });
      continue;
    }
    const { fingerprint } = key;
    const verdict = judgeKey({ fingerprint, state: key.state, validFromMs: null }, nowMs);
    const state = !verdict.ok ? 'revoked' : key.state === 'quarantined' ? 'quarantined' : 'valid';
    if (state === 'valid' && what.used) {
      deps.store.touch('api_keys', key.id, 'last_used_at_ms', nowMs);
      deps.store.touch('devices', key.device_id, 'last_seen_at_ms', nowMs);
    }
    answers.push({ device_id: device, state, fingerprint });
  }
  return answers;
}

function digestBytes(hex: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    const detail = 'expected the SHA-256 of a key as 64 lower-case hex characters, got another text';
    throw new FuselinkError('invalid_field', `key_sha256: ${detail}.`, { errors: [{ field: 'key_sha256', detail }] });
  }
  return Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
