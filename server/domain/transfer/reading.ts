import type { ErrorCode } from '#sdk/protocol';
import { acknowledgedBy, addRange, bytesIn, covers, unite } from '../reading/byte-ranges.ts';
import { burn } from './ending.ts';
import { bytesServedMax, changed, type Transfer } from './transfer.ts';

/** Why a reader is refused; `retryAfterSeconds` where waiting may help. */
export interface ReadRefused {
  ok: false;
  code: ErrorCode;
  retryAfterSeconds?: number;
}
export type ReadOutcome = { ok: true; transfer: Transfer } | ReadRefused;

/** What a link's state alone says to any reader; null where it may be read (by one reader at a time). */
export function refusalByState(transfer: Transfer, nowMs: number): ReadRefused | null {
  switch (transfer.state) {
    case 'burned':
      return { ok: false, code: 'link_burned' };
    case 'revoked':
      return { ok: false, code: 'link_revoked' };
    case 'expired':
      return { ok: false, code: 'link_expired' };
    case 'uploading':
      return { ok: false, code: 'transfer_uploading', retryAfterSeconds: 5 };
    case 'ready':
    case 'claimed':
      return transfer.expires_at_ms <= nowMs ? { ok: false, code: 'link_expired' } : null;
  }
}

/** Seconds a live lease still has, or null where nobody holds one. */
export function leaseSecondsLeft(transfer: Transfer, nowMs: number): number | null {
  if (transfer.state !== 'claimed' || transfer.lease_expires_at_ms === null) return null;
  const leftMs = transfer.lease_expires_at_ms - nowMs;
  return leftMs > 0 ? Math.ceil(leftMs / 1000) : null;
}

function held(transfer: Transfer): boolean {
  return transfer.held || transfer.bytes_served >= bytesServedMax(transfer);
}

/** The lease goes back. Its holder stays known, so that it may go on as long as nobody else has begun. */
function givenBack(transfer: Transfer): Partial<Transfer> {
  return {
    state: 'ready',
    lease_readers: 0,
    lease_expires_at_ms: null,
    grace_until_ms: null,
    held: held(transfer) || transfer.attempts_without_progress >= transfer.attempts_max,
  };
}

/** The transfer with a lease that has run out given back. Not yet a new version: it becomes one with the next change. */
function settled(transfer: Transfer, nowMs: number): Transfer {
  const runOut = transfer.state === 'claimed' && leaseSecondsLeft(transfer, nowMs) === null;
  return runOut ? { ...transfer, ...givenBack(transfer) } : transfer;
}

/** A reader asks for the lease in so many words: `POST /get/:token/claim`. */
export function claim(transfer: Transfer, command: { leaseHash: string; nowMs: number }): ReadOutcome {
  const refused = refusalByState(transfer, command.nowMs);
  if (refused) return refused;
  const now = settled(transfer, command.nowMs);
  const left = leaseSecondsLeft(now, command.nowMs);
  if (left !== null) return { ok: false, code: 'transfer_leased', retryAfterSeconds: left };
  if (held(now)) return { ok: false, code: 'transfer_held' };
  return { ok: true, transfer: changed(now, leased(now, { ...command, kind: 'claim', readers: 0 })) };
}

function leased(
  transfer: Transfer,
  lease: { leaseHash: string; kind: 'claim' | 'implicit'; nowMs: number; readers: number },
): Partial<Transfer> {
  return {
    state: 'claimed',
    claimed_at_ms: lease.nowMs,
    lease_hash: lease.leaseHash,
    lease_kind: lease.kind,
    lease_expires_at_ms: lease.nowMs + transfer.lease_seconds * 1000,
    lease_readers: lease.readers,
    attempts: transfer.attempts + 1,
    attempts_without_progress: transfer.attempts_without_progress + 1,
  };
}

export interface BeginRead {
  via: 'claim' | 'implicit';
  leaseHash: string;
  /** First byte asked for. Above 0 the reader goes on with what it has. */
  from: number;
  /** A person pressed a button: no preview does, so this satisfies `require_claim`. */
  deliberate?: boolean;
  nowMs: number;
}

/**
 * A request for bytes begins. Under a claim it must hold the lease, or have held it last. A plain GET takes an
 * implicit lease; while that lives, only further parts (`from` > 0) of the same reader join it.
 */
export function beginRead(transfer: Transfer, command: BeginRead): ReadOutcome {
  const refused = refusalByState(transfer, command.nowMs);
  if (refused) return refused;
  if (command.via === 'implicit' && transfer.require_claim && command.deliberate !== true) return { ok: false, code: 'claim_required' };
  const now = settled(transfer, command.nowMs);
  const mine = now.lease_hash === command.leaseHash && now.lease_kind === command.via;
  const left = leaseSecondsLeft(now, command.nowMs);

  if (command.via === 'claim' && !mine) return { ok: false, code: 'claim_unknown' };
  if (left !== null && !(mine && (command.via === 'claim' || command.from > 0))) {
    return { ok: false, code: 'transfer_leased', retryAfterSeconds: left };
  }
  if (left === null && held(now)) return { ok: false, code: 'transfer_held' };

  const lease =
    left !== null || command.via === 'claim'
      ? {
          state: 'claimed' as const,
          lease_readers: now.lease_readers + 1,
          lease_expires_at_ms: command.nowMs + now.lease_seconds * 1000,
          grace_until_ms: null,
        }
      : { ...leased(now, { ...command, kind: 'implicit', readers: 1 }), grace_until_ms: null };
  return { ok: true, transfer: changed(now, { ...lease, ...progress(now, lease, command.from) }) };
}

/** Asking to go on at `from` says that what was served before it has arrived. */
function progress(transfer: Transfer, lease: Partial<Transfer>, from: number): Partial<Transfer> {
  const has = acknowledgedBy(transfer.served, from);
  if (has === null) return {};
  const delivered = addRange(transfer.delivered, has[0], has[1]);
  if (bytesIn(delivered) === bytesIn(transfer.delivered)) return {};
  return { delivered, attempts_without_progress: lease.attempts === undefined ? 0 : 1 };
}

/** Bytes still flow to a reader: its lease lives on. */
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
  const readers = Math.max(0, transfer.lease_readers - 1);
  const served = addRange(transfer.served, command.from, command.to);
  const base: Transfer = {
    ...transfer,
    served,
    lease_readers: readers,
    bytes_served: transfer.bytes_served + command.to - command.from,
  };
  const size = transfer.size ?? 0;

  if (command.outcome === 'proven' && command.via === 'implicit') {
    const delivered = addRange(transfer.delivered, command.from, command.to);
    if (covers(delivered, size)) return burn({ ...base, delivered }, { nowMs: command.nowMs, by: 'close' });
    const grew = bytesIn(delivered) > bytesIn(transfer.delivered);
    const next: Transfer = { ...base, delivered, attempts_without_progress: grew ? 0 : base.attempts_without_progress };
    return changed(next, readers === 0 ? givenBack(next) : {});
  }
  if (command.outcome === 'broken') return changed(base, readers === 0 ? givenBack(base) : {});
  if (command.via === 'claim' || !covers(unite(served, transfer.delivered), size)) {
    const renewed = command.nowMs + transfer.lease_seconds * 1000;
    return changed(base, { lease_expires_at_ms: renewed });
  }
  const graceUntil = command.nowMs + command.graceMs;
  return changed(base, { lease_expires_at_ms: graceUntil, grace_until_ms: graceUntil });
}

/**
 * The reader says it has the whole file, with its digest. Under a claim, the lease must be (or last have been) its
 * own; without one (a plain GET behind a proxy) no explicit claim may be alive.
 */
export function acknowledge(
  transfer: Transfer,
  command: { leaseHash: string | null; digestMatches: boolean; nowMs: number },
): ReadOutcome {
  const ended = refusalByState({ ...transfer, expires_at_ms: Number.POSITIVE_INFINITY }, command.nowMs);
  if (ended) return ended;
  const byClaim =
    command.leaseHash !== null && transfer.lease_kind === 'claim' && transfer.lease_hash === command.leaseHash;
  const byReader = command.leaseHash === null && transfer.lease_kind === 'implicit';
  if (!byClaim && !byReader) return { ok: false, code: 'claim_unknown' };
  if (!command.digestMatches) return { ok: false, code: 'ack_digest_mismatch' };
  const everything = unite(transfer.served, transfer.delivered);
  if (!covers(everything, transfer.size ?? 0)) return { ok: false, code: 'ack_incomplete' };
  return { ok: true, transfer: burn({ ...transfer, delivered: everything }, { nowMs: command.nowMs, by: 'ack' }) };
}
