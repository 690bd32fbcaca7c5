import { toBase64url, utf8 } from '../../domain/base64url.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { TOKEN_BYTES } from '../sealing/link.ts';

/** What is kept of an Idempotency-Key: an HMAC to find it by, and the salt of the link it leads to. */
export interface Idempotency {
  hash: string;
  /** `keyring version (1) ‖ 16 random bytes`. */
  salt: Uint8Array;
  token: Uint8Array;
}

const SALT_BYTES = 17;

/** token = HMAC(FUSELINK_SECRET, salt ‖ account ‖ device or key ‖ k); k itself is not kept. */
export function newIdempotency(deps: Deps, caller: Caller, key: string): Idempotency {
  const salt = new Uint8Array(SALT_BYTES);
  salt[0] = deps.keyring.current;
  salt.set(deps.random.bytes(SALT_BYTES - 1), 1);
  return { hash: idempotencyHash(deps, caller, key), salt, token: idempotentToken(deps, caller, key, salt) };
}

export function idempotentToken(deps: Deps, caller: Caller, key: string, salt: Uint8Array): Uint8Array {
  const scope = utf8(`${caller.accountId}\n${caller.subject}\n${key}`);
  return deps.keyring.mac('idempotent link', [salt, scope], salt[0]).subarray(0, TOKEN_BYTES);
}

function idempotencyHash(deps: Deps, caller: Caller, key: string, version?: number): string {
  const mac = deps.keyring.mac('idempotency index', [utf8(`${caller.accountId}\n${caller.subject}\n${key}`)], version);
  return toBase64url(mac);
}

/** The transfer that this caller's key already stands for, whichever version of the secret it was made under. */
export async function findIdempotent(deps: Deps, caller: Caller, key: string): Promise<TransferRow | null> {
  for (const version of deps.keyring.versions) {
    const row = await deps.store.get('transfers', { idempotency_hash: idempotencyHash(deps, caller, key, version) });
    if (row !== null) return row;
  }
  return null;
}
