import { ANSWERING_LABEL, type DevicePosition, SIGNING_LABEL } from '#sdk/protocol';
import { utf8 } from '../../domain/base64url.ts';
import { clockFault, type RequestSignature, type SignatureOutcome } from '../../domain/credential/signature-header.ts';
import type { KeyRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { deviceSecretOf } from '../device/device-secret.ts';
import { FuselinkError } from '../error.ts';
import { callerOfKey } from '../key/authenticate.ts';
import { judgeNonce, spendNonce } from './nonces.ts';
import { asciiBytes, base64OfBytes } from './text.ts';

/** A request whose signature holds: who made it is known, whether it may be done is not. */
export interface ProvenRequest {
  signature: RequestSignature;
  key: KeyRow;
  /** D of the key. Behind a function, so that nothing that prints a request prints it. */
  deviceSecret(): Uint8Array;
  /** Of the answer to this request. */
  answeringKey(): Uint8Array;
}

/** Throws `signature_malformed`, `signature_incomplete`, `signature_invalid`, `signature_key_unseen` or `key_unknown`. */
export async function proveSignature(deps: Deps, said: SignatureOutcome): Promise<ProvenRequest> {
  if (!said.ok) throw new FuselinkError(said.code, said.detail);
  const { signature } = said;
  const [key] = await deps.store.list('api_keys', {
    where: [
      ['device_id', '=', signature.deviceId],
      ['fingerprint', '=', signature.fingerprint],
    ],
    limit: 1,
  });
  if (key === undefined) {
    const { fingerprint } = signature;
    throw new FuselinkError('key_unknown', `No API key with the fingerprint ${fingerprint} is known of this device.`, {
      fingerprint,
    });
  }
  const secret = deviceSecretOf(deps, key);
  if (secret === null) {
    throw new FuselinkError(
      'signature_key_unseen',
      'Expected a key that was minted here, was sent once in plain form, or whose device secret came with its registration; got one that is known by its digest alone. Ask for an offer, or recover with `wrapped_secret` (sdk/SIGNED.md §1).',
    );
  }
  const signingKey = deps.crypto.hmacSha256(secret, utf8(SIGNING_LABEL));
  const expected = `:${base64OfBytes(deps.crypto.hmacSha256(signingKey, asciiBytes(signature.base)))}:`;
  if (!deps.crypto.equal(asciiBytes(expected), asciiBytes(signature.signature))) {
    throw new FuselinkError(
      'signature_invalid',
      'Expected the HMAC-SHA-256 of the signature base under this key’s signing key, got another: check the base line by line (sdk/SIGNED.md).',
    );
  }
  return {
    signature,
    key,
    deviceSecret: () => secret,
    answeringKey: () => deps.crypto.hmacSha256(secret, utf8(ANSWERING_LABEL)),
  };
}

/**
 * The caller of a proven request, with its nonce used up. `readBody` reads the whole body; it is asked for only when
 * everything else is in order. Throws `signature_clock`, `nonce_missing`, `nonce_unknown`, `nonce_expired`, `nonce_used`,
 * `digest_mismatch`, and what any key is refused for: a nonce comes first, so that a request that was recorded and
 * is played again is no contact of the device.
 */
export async function admitSigned(
  deps: Deps,
  proven: ProvenRequest,
  request: { from: string; position: DevicePosition | null; readBody(): Promise<Uint8Array> },
): Promise<Caller> {
  const { signature, key } = proven;
  const fault = clockFault(signature, deps.clock.nowMs());
  if (fault !== null) throw new FuselinkError('signature_clock', `${fault}.`);
  const verdict = judgeNonce(deps, signature.keyId, signature.nonce);
  if (!verdict.ok) throw new FuselinkError(verdict.code, NONCE_DETAILS[verdict.code]);
  const body = await request.readBody();
  if (base64OfBytes(deps.crypto.sha256(body)) !== signature.bodySha256) {
    throw new FuselinkError(
      'digest_mismatch',
      'Expected the body that Content-Digest names, got another; nothing was done.',
    );
  }
  if (!(await spendNonce(deps, signature.nonce, verdict.expiresAtMs))) {
    throw new FuselinkError('nonce_used', NONCE_DETAILS.nonce_used);
  }
  const now = (await deps.store.get('api_keys', { id: key.id })) ?? key;
  const caller = await callerOfKey(deps, now, request.from, request.position, { mayChange: false });
  return { ...caller, deviceSecret: proven.deviceSecret };
}

const NONCE_DETAILS = {
  nonce_missing: 'Expected the nonce of an earlier answer, got none: sign again with the one in Fuselink-Nonce.',
  nonce_unknown:
    'Expected a nonce this server gave to this key, got another: sign again with the one in Fuselink-Nonce.',
  nonce_expired:
    'Expected a nonce that is still good, got one that has expired: sign again with the one in Fuselink-Nonce.',
  nonce_used: 'Expected a nonce for one use, got one that was used: sign again with the one in Fuselink-Nonce.',
} as const;
