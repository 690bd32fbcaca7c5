import { bytesServedMax, changed, hasEnded, type Transfer } from './transfer.ts';

export type DeliveredBy = 'ack' | 'close' | 'grace' | 'first-byte';

/** What every ending does: the lease, the salt of the link and the ways back are gone. The receipt stays. */
function ended(
  transfer: Transfer,
  state: 'burned' | 'expired' | 'revoked',
  nowMs: number,
  by: DeliveredBy | null,
): Transfer {
  return changed(transfer, {
    state,
    ended_at_ms: nowMs,
    delivered_by: by,
    receipt_until_ms: nowMs + transfer.receipt_ttl_seconds * 1000,
    held: false,
    lease_hash: null,
    lease_kind: null,
    lease_expires_at_ms: null,
    lease_readers: 0,
    grace_until_ms: null,
    upload_deadline_ms: null,
    idempotency_salt: null,
  });
}

/** Delivery was proven. */
export function burn(transfer: Transfer, options: { nowMs: number; by: DeliveredBy }): Transfer {
  return ended(transfer, 'burned', options.nowMs, options.by);
}

/** The owner burned it, whatever was going on; null where it had already ended. */
export function revoke(transfer: Transfer, nowMs: number): Transfer | null {
  return hasEnded(transfer) ? null : ended(transfer, 'revoked', nowMs, null);
}

/**
 * What the sweep does to a transfer at `nowMs`: a read behind a proxy whose grace has passed is burned; what has
 * expired, or an upload given up on, is expired; null where there is nothing to do. A reader that holds a live lease
 * is let finish.
 */
export function sweep(transfer: Transfer, nowMs: number): Transfer | null {
  if (hasEnded(transfer)) return null;
  if (transfer.state === 'uploading') {
    const dead = transfer.upload_deadline_ms !== null && transfer.upload_deadline_ms <= nowMs;
    return dead ? ended(transfer, 'expired', nowMs, null) : null;
  }
  if (transfer.grace_until_ms !== null) {
    return transfer.grace_until_ms <= nowMs ? burn(transfer, { nowMs, by: 'grace' }) : null;
  }
  if (transfer.expires_at_ms > nowMs) return null;
  const leased = transfer.state === 'claimed' && (transfer.lease_expires_at_ms ?? 0) > nowMs;
  return leased ? null : ended(transfer, 'expired', nowMs, null);
}

/**
 * The owner opens a held transfer again: attempts start from zero, and so does the count of bytes that may hold it.
 * `transfer` as it stands now (`standing`). Null where it is not held.
 */
export function reopen(transfer: Transfer): Transfer | null {
  const held = transfer.held || transfer.bytes_served >= bytesServedMax(transfer);
  if (!held || hasEnded(transfer)) return null;
  return changed(transfer, { held: false, attempts_without_progress: 0, bytes_served: 0 });
}

/** `burn: on-first-byte`: the file is burned as its first byte is about to leave. Part of the change that began the read. */
export function burnOnFirstByte(transfer: Transfer, nowMs: number): Transfer {
  return { ...burn(transfer, { nowMs, by: 'first-byte' }), version: transfer.version };
}
