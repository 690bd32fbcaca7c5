import { addRange, bytesIn, covers, type Ranges, unite } from '../reading/byte-ranges.ts';
import { burn } from './ending.ts';
import { givenBack, type ReadOutcome, refusalByState } from './reading.ts';
import { changed, type Transfer } from './transfer.ts';

/** Bytes still flow to a reader: its lease lives on. Null where the lease is no longer this reader's. */
export function renewLease(transfer: Transfer, command: { leaseHash: string; nowMs: number }): Transfer | null {
  if (transfer.state !== 'claimed' || transfer.lease_hash !== command.leaseHash) return null;
  return changed(transfer, { lease_expires_at_ms: command.nowMs + transfer.lease_seconds * 1000 });
}

export interface EndRead {
  via: 'claim' | 'implicit';
  leaseHash: string;
  from: number;
  /** End (exclusive) of what was handed to the socket. */
  to: number;
  /**
   * `proven`: the client closed first, in order, after the last byte. `unproven`: all was handed over, but nobody can
   * tell who closed (a proxy, or an explicit claim whose proof is the ack). `broken`: anything else.
   */
  outcome: 'proven' | 'unproven' | 'broken';
  /** Milliseconds a complete but unproven plain GET waits for an ack or a retry before it counts as delivered. */
  graceMs: number;
  nowMs: number;
}

/** A request for bytes has ended. Null where the transfer has ended meanwhile or the lease is another's. */
export function endRead(transfer: Transfer, command: EndRead): Transfer | null {
  if (transfer.state !== 'claimed' || transfer.lease_hash !== command.leaseHash) return null;
  const { from, to, nowMs } = command;
  const readers = Math.max(0, transfer.lease_readers - 1);
  const counted: Transfer = {
    ...transfer,
    served: addRange(transfer.served, from, to),
    lease_readers: readers,
    bytes_served: transfer.bytes_served + to - from,
  };
  if (command.via === 'claim') return endedUnderClaim(counted, command);
  if (command.outcome === 'broken') return changed(counted, readers === 0 ? givenBack(counted) : {});

  const delivered = addRange(transfer.delivered, from, to);
  const grew = bytesIn(delivered) > bytesIn(transfer.delivered);
  const next: Transfer = { ...counted, delivered, ...(grew ? { attempts_without_progress: 0 } : {}) };
  if (covers(delivered, transfer.size ?? 0)) {
    if (command.outcome === 'proven') return burn(next, { nowMs, by: 'close' });
    const graceUntil = nowMs + command.graceMs;
    return changed(next, { lease_expires_at_ms: graceUntil, grace_until_ms: graceUntil });
  }
  return changed(next, readers === 0 ? givenBack(next) : {});
}

/** Under a claim only the ack proves: what was handed over counts as read, so that the ack may speak for it. */
function endedUnderClaim(counted: Transfer, command: EndRead): Transfer {
  const next: Transfer = { ...counted, delivered: addRange(counted.delivered, command.from, command.to) };
  if (command.outcome === 'broken' && next.lease_readers === 0) return changed(next, givenBack(next));
  return changed(next, { lease_expires_at_ms: command.nowMs + next.lease_seconds * 1000 });
}

export interface Acknowledge {
  /** Of the claim; null after a plain GET. */
  leaseHash: string | null;
  digestMatches: boolean;
  /** What requests still under way have handed to this reader: an ack may overtake their end. */
  live?: Readonly<Ranges>;
  nowMs: number;
}

/**
 * The reader says it has the whole file, with its digest. Under a claim, the lease must be (or last have been) its
 * own; without one (a plain GET behind a proxy) the last reader must have been a plain one.
 */
export function acknowledge(transfer: Transfer, command: Acknowledge): ReadOutcome {
  // Neither expiry nor a grace that has passed takes the proof away from a reader that has the file.
  const inTime = { ...transfer, expires_at_ms: Number.POSITIVE_INFINITY, grace_until_ms: null };
  const ended = refusalByState(inTime, command.nowMs);
  if (ended) return ended;
  const byClaim =
    command.leaseHash !== null && transfer.lease_kind === 'claim' && transfer.lease_hash === command.leaseHash;
  const byReader = command.leaseHash === null && transfer.lease_kind !== 'claim' && transfer.lease_kind !== null;
  if (!byClaim && !byReader) return { ok: false, code: 'claim_unknown' };
  if (!command.digestMatches) return { ok: false, code: 'ack_digest_mismatch' };
  const delivered = unite(transfer.delivered, command.live ?? []);
  if (!covers(delivered, transfer.size ?? 0)) return { ok: false, code: 'ack_incomplete' };
  return { ok: true, transfer: burn({ ...transfer, delivered }, { nowMs: command.nowMs, by: 'ack' }) };
}
