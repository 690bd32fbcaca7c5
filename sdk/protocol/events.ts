/*
 * `GET /v1/events`: what happens in an account, as server-sent events (text/event-stream). An event is an entry of the
 * audit chain, so nothing is told that is not written down, and what a listener missed can be told again:
 *
 *   id: 4711
 *   data: {"seq":4711,"at":"…","actor":"campaign","action":"campaign.wave","subject":"cmp_…", …}
 *
 * `id` is the entry's `seq`; a listener that comes back with `Last-Event-ID` (or `?after=`) hears all that came since.
 * Events have no `event` field, so `EventSource.onmessage` gets each. Two others are not in the chain and have no id:
 *
 *   event: reset    data: {"seq":…}     the place asked for is not in the chain (a restored database): look at everything anew
 *   event: closed   data: {"code":…}    the listener's key, session or role no longer holds; do not come back as it is
 */

/** Names of the events that are no audit entries. */
export const EVENT_RESET = 'reset';
export const EVENT_CLOSED = 'closed';

/** Seconds between two comments on a silent stream, so that proxies and listeners can tell silence from death. */
export const EVENTS_HEARTBEAT_SECONDS = 15;
/** What `retry:` tells a listener: milliseconds before it comes back. */
export const EVENTS_RETRY_MS = 2000;
/** Event streams one account may hold open at a node. */
export const EVENT_STREAMS_PER_ACCOUNT_MAX = 32;
