import type { AuditAnswer } from '#sdk/protocol';
import type { AuditRow } from '../../ports/tables.ts';
import { auditAnswer } from '../audit/read-audit.ts';
import { whyOver } from '../auth/still-holds.ts';
import { type Caller, requireAccountKey } from '../caller.ts';
import type { Deps } from '../deps.ts';
import type { FuselinkError } from '../error.ts';
import { FEED_PAGE_ROWS } from './account-feed.ts';
import type { Listening } from './event-hub.ts';

/** What a stream tells its listener. `seq`: the place from which a listener that comes back goes on. */
export type EventStep =
  /** Where the stream begins, or where it stands although nothing of it was for this listener. */
  | { kind: 'place'; seq: number }
  /** The place asked for is not in the chain: what the listener knows may be of a database that is no more. */
  | { kind: 'reset'; seq: number }
  | { kind: 'event'; seq: number; entry: AuditAnswer }
  /** The listener's credential no longer holds. */
  | { kind: 'closed'; error: FuselinkError };

export interface EventsWanted {
  /** Go on behind this entry; null: from now on. `unknown`: the listener named a place that no chain has. */
  after: number | 'unknown' | null;
  /** Only actions that begin so. */
  action: string | null;
  subject: string | null;
}

/** A place for the caller among the listeners of its account. Throws for device and gateway keys, and at the limits. */
export function listenToEvents(deps: Deps, caller: Caller): Listening {
  requireAccountKey(caller);
  return deps.events.listen(deps.store, caller.accountId);
}

/**
 * The account's events, one after the other, for as long as the listener's credential holds. It is asked anew after each
 * reading and before anything of that is told, so that nothing that came after a revocation is told to who was revoked. Pulled, not
 * pushed: a listener that is slow keeps its place and nothing else. A nudge makes a silent stream
 * look at its credential and say its place.
 */
export async function* accountEvents(
  deps: Deps,
  caller: Caller,
  listening: Listening,
  wanted: EventsWanted,
): AsyncGenerator<EventStep, void, void> {
  const { feed } = listening;
  const head = await feed.head();
  let place = typeof wanted.after === 'number' && wanted.after <= head ? wanted.after : head;
  yield { kind: wanted.after === null || place === wanted.after ? 'place' : 'reset', seq: place };
  for (let quiet = false; !listening.over; ) {
    const known = feed.known;
    const rows = await feed.pageAfter(place, wanted.subject);
    const error = await whyOver(deps, caller);
    if (listening.over) return;
    if (error !== null) {
      yield { kind: 'closed', error };
      return;
    }
    for (const row of rows) if (isWanted(row, wanted)) yield { kind: 'event', seq: row.seq, entry: auditAnswer(row) };
    // A page that is not full says that nothing more of this kind stands before what was known when it was read.
    place = Math.max(place, rows.at(-1)?.seq ?? 0, rows.length < FEED_PAGE_ROWS ? known : 0);
    if (quiet) yield { kind: 'place', seq: place };
    quiet = feed.known <= place && (await listening.news()) === 'nudged';
  }
}

function isWanted(row: AuditRow, wanted: EventsWanted): boolean {
  return (
    (wanted.action === null || row.action.startsWith(wanted.action)) &&
    (wanted.subject === null || row.subject === wanted.subject)
  );
}
