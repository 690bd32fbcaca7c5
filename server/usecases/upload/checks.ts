import { fromHex } from '../../domain/base64url.ts';
import { checkIdempotencyKey } from '../../domain/upload/idempotency-key.ts';
import { checkUploadFields, type UploadFields, type UploadOptions } from '../../domain/upload/upload-options.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

/** What the sender said, checked; throws `invalid_field` with every problem. */
export function checkedFields(fields: UploadFields): UploadOptions {
  const checked = checkUploadFields(fields);
  if (checked.ok) return checked.options;
  const detail = checked.errors.map((problem) => `${problem.field}: ${problem.detail}`).join('; ');
  throw new FuselinkError('invalid_field', `${detail}.`, { errors: checked.errors });
}

/** The key without quotes; throws `idempotency_key_invalid`. */
export function checkedIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const checked = checkIdempotencyKey(header);
  if (checked.ok) return checked.value;
  throw new FuselinkError('idempotency_key_invalid', `Idempotency-Key: ${checked.detail}.`);
}

/** Throws `digest_mismatch` where the sender announced another digest than that of what came. */
export function refuseWrongDigest(announced: string | null, digest: string): void {
  if (announced !== null && !sameHex(announced, digest)) {
    throw new FuselinkError(
      'digest_mismatch',
      `Expected a body with SHA-256 ${announced.slice(0, 64)}, got one with ${digest}.`,
    );
  }
}

function sameHex(a: string, b: string): boolean {
  return fromHex(a) !== null && a.toLowerCase() === b;
}

/** The caller's key as it is now; throws `key_revoked` where it was revoked since the request began. */
export async function stillValidKey(deps: Deps, caller: Caller): Promise<Caller['key']> {
  const key = await deps.store.get('api_keys', { id: caller.key.id });
  if (key !== null && key.state === 'quarantined') {
    throw new FuselinkError(
      'key_quarantined',
      'This API key was quarantined while the upload was on its way; it was not accepted. Keep the data.',
      { fingerprint: caller.key.fingerprint },
    );
  }
  if (key !== null && key.state !== 'revoked') return key;
  throw new FuselinkError(
    'key_revoked',
    'This API key was revoked while the upload was on its way; it was not accepted.',
    {
      fingerprint: caller.key.fingerprint,
    },
  );
}
