import type { ErrorCode } from '#sdk/protocol';
import { acknowledgedBy, addRange, bytesIn, type Ranges } from '../reading/byte-ranges.ts';
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
      // The sweep will write the burn; a reader that is quicker than the sweep must not get a second copy.
      if (transfer.grace_until_ms !== null && transfer.grace_until_ms <= nowMs) {
        return { ok: false, code: 'link_burned' };
      }
      return transfer.expires_at_ms <= nowMs ? { ok: false, code: 'link_expired' } : null;
  }
}

/** Seconds a live lease still has, or null where nobody holds one. */
export function leaseSecondsLeft(transfer: Transfer, nowMs: number): number | null {
  if (transfer.state !== 'claimed' || transfer.lease_expires_at_ms === null) return null;
  const leftMs = transfer.lease_expires_at_ms - nowMs;
  return leftMs > 0 ? Math.ceil(leftMs / 1000) : null;
}

function isHeld(transfer: Transfer): boolean {
  return transfer.held || transfer.bytes_served >= bytesServedMax(transfer);
}

/** The lease goes back. Its holder stays known, so that it may go on as long as nobody else has begun. */
export function givenBack(transfer: Transfer): Partial<Transfer> {
  return {
    state: 'ready',
    lease_readers: 0,
    lease_expires_at_ms: null,
    grace_until_ms: null,
    held: isHeld(transfer) || transfer.attempts_without_progress >= transfer.attempts_max,
  };
}

/**
 * The transfer as it stands at `nowMs`: a lease that has run out is given back. What is stored says so only with the
 * next change, so the version is that of the row.
 */
export function standing(transfer: Transfer, nowMs: number): Transfer {
  const runOut =
    transfer.state === 'claimed' && transfer.grace_until_ms === null && leaseSecondsLeft(transfer, nowMs) === null;
  return runOut ? { ...transfer, ...givenBack(transfer) } : transfer;
}

interface Lease {
  leaseHash: string;
  kind: 'claim' | 'implicit';
  nowMs: number;
  readers: number;
}

function leased(transfer: Transfer, lease: Lease): Partial<Transfer> {
  return {
    state: 'claimed',
    claimed_at_ms: lease.nowMs,
    lease_hash: lease.leaseHash,
    lease_kind: lease.kind,
    lease_expires_at_ms: lease.nowMs + transfer.lease_seconds * 1000,
    lease_readers: lease.readers,
    grace_until_ms: null,
    attempts: transfer.attempts + 1,
    attempts_without_progress: transfer.attempts_without_progress + 1,
  };
}

/** A reader asks for the lease in so many words: `POST /get/:token/claim`. What others had counts for nothing. */
export function claim(transfer: Transfer, command: { leaseHash: string; nowMs: number }): ReadOutcome {
  const refused = refusalByState(transfer, command.nowMs);
  if (refused) return refused;
  const now = standing(transfer, command.nowMs);
  const left = leaseSecondsLeft(now, command.nowMs);
  if (left !== null) return { ok: false, code: 'transfer_leased', retryAfterSeconds: left };
  if (isHeld(now)) return { ok: false, code: 'transfer_held' };
  return {
    ok: true,
    transfer: changed(now, { ...leased(now, { ...command, kind: 'claim', readers: 0 }), delivered: [] }),
  };
}

export interface BeginRead {
  via: 'claim' | 'implicit';
  leaseHash: string;
  /** First byte asked for. */
  from: number;
  /** No end was named (`bytes=N-`, or no Range): the reader wants all the rest, so it has what came before. */
  openEnded: boolean;
  /** A person pressed a button: no preview does, so this satisfies `require_claim`. */
  deliberate?: boolean;
  /** What requests still under way have handed to this very reader. */
  live?: Readonly<Ranges>;
  nowMs: number;
}

/**
 * A request for bytes begins. Under a claim it must hold the lease, or have held it last. A plain GET takes an
 * implicit lease; while that lives only further parts (`from` > 0) of the same reader join it, or its own retry of a
 * read that is complete but unproven (behind a proxy).
 */
export function beginRead(transfer: Transfer, command: BeginRead): ReadOutcome {
  const { via, nowMs } = command;
  const refused = refusalByState(transfer, nowMs);
  if (refused) return refused;
  if (via === 'implicit' && transfer.require_claim && command.deliberate !== true) {
    return { ok: false, code: 'claim_required' };
  }
  const now = standing(transfer, nowMs);
  const mine = now.lease_hash === command.leaseHash && (now.lease_kind === 'claim') === (via === 'claim');
  const left = leaseSecondsLeft(now, nowMs);
  const retriesUnproven = mine && now.grace_until_ms !== null && now.lease_readers === 0;

  if (via === 'claim' && !mine) return { ok: false, code: 'claim_unknown' };
  if (left !== null && !(mine && (via === 'claim' || command.from > 0 || retriesUnproven))) {
    return { ok: false, code: 'transfer_leased', retryAfterSeconds: left };
  }
  if (isHeld(now)) return { ok: false, code: 'transfer_held' };

  const joins = via === 'claim' || (left !== null && !retriesUnproven);
  const lease: Partial<Transfer> = joins
    ? {
        state: 'claimed',
        lease_kind: via === 'implicit' && now.lease_readers > 0 ? 'parallel' : now.lease_kind,
        lease_readers: now.lease_readers + 1,
        lease_expires_at_ms: nowMs + now.lease_seconds * 1000,
        grace_until_ms: null,
      }
    : takesOver(now, command);
  return { ok: true, transfer: changed(now, { ...lease, ...wentOn(now, lease, command) }) };
}

/**
 * A plain GET takes a lease nobody holds. Another reader, or one that asks for the whole file, starts afresh; the same
 * reader asking for a part goes on with what was proven before, side by side if that is how it read.
 */
function takesOver(transfer: Transfer, command: BeginRead): Partial<Transfer> {
  const lease = leased(transfer, { ...command, kind: 'implicit', readers: 1 });
  const whole = command.from === 0 && command.openEnded;
  if (whole || transfer.lease_hash !== command.leaseHash) return { ...lease, delivered: [] };
  return transfer.lease_kind === 'parallel' ? { ...lease, lease_kind: 'parallel' } : lease;
}

/**
 * Asking for all the rest from N on says that what was served before N has arrived (`curl -C -`, `wget -c`). A plain
 * reader that fetches parts side by side says no such thing: there only a proof of each part counts.
 */
function wentOn(transfer: Transfer, lease: Partial<Transfer>, command: BeginRead): Partial<Transfer> {
  if (command.from === 0 || !command.openEnded) return {};
  const parallel = (lease.lease_kind ?? transfer.lease_kind) === 'parallel';
  if (parallel || (command.via === 'implicit' && transfer.lease_readers > 0)) return {};
  const before = lease.delivered ?? transfer.delivered;
  const served = (command.live ?? []).reduce((sum, [from, to]) => addRange(sum, from, to), transfer.served);
  const has = acknowledgedBy(served, command.from);
  if (has === null) return {};
  const delivered = addRange(before, has[0], has[1]);
  if (bytesIn(delivered) === bytesIn(before)) return {};
  return { delivered, attempts_without_progress: lease.attempts === undefined ? 0 : 1 };
}
