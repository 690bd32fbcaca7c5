import { NONCE_SECONDS } from '#sdk/protocol';
import { fromBase64url, toBase64url, utf8 } from '../../domain/base64url.ts';
import type { UsedNonceRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

/*
 * A nonce says by itself whom it was given to and until when, so that none is kept before it is used:
 *
 *   expiry in seconds, decimal "." base64url(version[1] ‖ random[12] ‖ MAC[16])
 *
 * MAC: first 16 bytes of HMAC-SHA-256(keyring key `version` for PURPOSE, keyid " " expiry "." ‖ version ‖ random). After
 * the first restore from a backup the purpose ends in " " and the epoch: which nonces were used after the backup is not in it,
 * so that none given before the restore is good any more. The
 * expiry is for devices to read: a number that rises from boot to boot, where there is neither a clock nor a count.
 */
const PURPOSE = 'signed request nonce';
const RANDOM_BYTES = 12;
const HEAD_BYTES = 1 + RANDOM_BYTES;
const MAC_BYTES = 16;
const FORM = /^(\d{1,10})\.([\w-]{39})$/;
/** A used nonce is remembered this much longer than it could be used, for nodes whose clocks differ. */
export const NONCE_MEMORY_MS = 3_600_000;
/** Rows one sweep forgets at most, in one commit. */
const FORGOTTEN_AT_ONCE = 500;

type NonceDeps = Pick<Deps, 'keyring' | 'random' | 'clock' | 'crypto' | 'epoch'>;

/** A nonce for one use by the key that `keyId` names. */
export function newNonce(deps: NonceDeps, keyId: string): string {
  const expiry = String(Math.ceil(deps.clock.nowMs() / 1000) + NONCE_SECONDS);
  const bytes = new Uint8Array(HEAD_BYTES + MAC_BYTES);
  bytes[0] = deps.keyring.current;
  bytes.set(deps.random.bytes(RANDOM_BYTES), 1);
  bytes.set(macOf(deps, { keyId, expiry, head: bytes.subarray(0, HEAD_BYTES) }), HEAD_BYTES);
  return `${expiry}.${toBase64url(bytes)}`;
}

export type NonceVerdict =
  | { ok: true; expiresAtMs: number }
  | { ok: false; code: 'nonce_missing' | 'nonce_unknown' | 'nonce_expired' };

/** Whether this server gave the nonce to this key, and recently; whether it was used only the store can say. */
export function judgeNonce(deps: NonceDeps, keyId: string, nonce: string): NonceVerdict {
  if (nonce === '') return { ok: false, code: 'nonce_missing' };
  const [, expiry = '', rest = ''] = FORM.exec(nonce) ?? [];
  const bytes = fromBase64url(rest);
  if (bytes === null || !deps.keyring.versions.includes(bytes[0] ?? 0)) return { ok: false, code: 'nonce_unknown' };
  const mac = macOf(deps, { keyId, expiry, head: bytes.subarray(0, HEAD_BYTES) });
  if (!deps.crypto.equal(bytes.subarray(HEAD_BYTES), mac)) return { ok: false, code: 'nonce_unknown' };
  const expiresAtMs = 1000 * Number(expiry);
  return deps.clock.nowMs() >= expiresAtMs ? { ok: false, code: 'nonce_expired' } : { ok: true, expiresAtMs };
}

function macOf(deps: NonceDeps, of: { keyId: string; expiry: string; head: Uint8Array }): Uint8Array {
  const purpose = deps.epoch === 0 ? PURPOSE : `${PURPOSE} ${deps.epoch}`;
  return deps.keyring.mac(purpose, [utf8(`${of.keyId} ${of.expiry}.`), of.head], of.head[0]).subarray(0, MAC_BYTES);
}

/** Uses a nonce up, durably and for every node. False where it was used before. */
export async function spendNonce(
  deps: Pick<Deps, 'store' | 'crypto'>,
  nonce: string,
  expiresAtMs: number,
): Promise<boolean> {
  const row: UsedNonceRow = {
    id: toBase64url(deps.crypto.sha256(utf8(nonce))),
    expires_at_ms: expiresAtMs,
    version: 1,
  };
  return (await deps.store.commit([{ kind: 'insert', table: 'used_nonces', row }])).ok;
}

/** Forgets used nonces that have long expired. Several nodes may do so at the same time. */
export async function forgetNonces(deps: Pick<Deps, 'store' | 'clock'>): Promise<void> {
  const rows = await deps.store.list('used_nonces', {
    where: [['expires_at_ms', '<=', deps.clock.nowMs() - NONCE_MEMORY_MS]],
    orderBy: [
      ['expires_at_ms', 'asc'],
      ['id', 'asc'],
    ],
    limit: FORGOTTEN_AT_ONCE,
  });
  if (rows.length === 0) return;
  await deps.store.commit(rows.map(({ id }) => ({ kind: 'delete', table: 'used_nonces', key: id })));
}
