import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { type AuditAnswer, EVENT_CLOSED, EVENT_RESET } from '#sdk/protocol';
import { address } from '../api/calls.ts';
import { listAudit } from '../api/fleet.ts';

/** How the stream of events stands. */
export const streamState = signal<'off' | 'connecting' | 'live' | 'waiting'>('off');
/** What happened lately, newest first: the end of the audit, and what was heard since. */
export const heard = signal<readonly AuditAnswer[]>([]);

/** Events kept to look at; the audit has all of them. */
const KEPT_MAX = 500;
/** Of those that happened before. */
const BEFORE_MAX = 30;
const RETRY_MS_MIN = 2_000;
const RETRY_MS_MAX = 30_000;

type Listener = (event: AuditAnswer | null) => void;

const listeners = new Set<Listener>();
let source: EventSource | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let lastSeq: number | null = null;
let retryMs = RETRY_MS_MIN;
/** Goes up when listening ends: what was begun before it is dropped. */
let turn = 0;
let tellClosed: (code: string) => void = () => {};

/** Opens the stream and keeps it open. `closed` is told when the session no longer holds. */
export function listen(closed: (code: string) => void): void {
  tellClosed = closed;
  if (streamState.value !== 'off') return;
  streamState.value = 'connecting';
  const mine = ++turn;
  // The stream then begins behind what was read, so that nothing falls between the two.
  listAudit({ limit: BEFORE_MAX })
    .then(({ entries }) => {
      if (mine !== turn) return;
      heard.value = entries;
      lastSeq = entries[0]?.seq ?? null;
    })
    .catch(() => {})
    .finally(() => {
      if (mine === turn) open();
    });
}

export function stopListening(): void {
  turn++;
  clearTimeout(timer);
  timer = undefined;
  source?.close();
  source = null;
  lastSeq = null;
  retryMs = RETRY_MS_MIN;
  heard.value = [];
  streamState.value = 'off';
}

function open(): void {
  timer = undefined;
  streamState.value = 'connecting';
  // A browser remembers the last id only while it keeps the same source: a new one is told where to go on.
  source = new EventSource(address('v1/events', { after: lastSeq ?? undefined }));
  source.onopen = () => {
    retryMs = RETRY_MS_MIN;
    streamState.value = 'live';
  };
  source.onmessage = (message) => take(JSON.parse(message.data) as AuditAnswer);
  source.addEventListener(EVENT_RESET, () => {
    lastSeq = null;
    tell(null);
  });
  source.addEventListener(EVENT_CLOSED, (message) => {
    const { code } = JSON.parse((message as MessageEvent<string>).data) as { code: string };
    stopListening();
    tellClosed(code);
  });
  source.onerror = () => {
    streamState.value = 'waiting';
    // The browser comes back by itself unless the server refused; then it is for us to ask again, later.
    if (source?.readyState !== EventSource.CLOSED) return;
    source.close();
    source = null;
    timer = setTimeout(open, retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
  };
}

function take(event: AuditAnswer): void {
  if (lastSeq !== null && event.seq <= lastSeq) return;
  lastSeq = event.seq;
  heard.value = [event, ...heard.value].slice(0, KEPT_MAX);
  tell(event);
}

function tell(event: AuditAnswer | null): void {
  for (const listener of listeners) listener(event);
}

const SETTLE_MS = 400;
/** A fleet that sends without pause must not have its pages asking without pause. */
const APART_MS = 2_000;
const AGAIN_MS = 5_000;

/**
 * Calls `refresh` a moment after an event that `concerns` it (and at a reset, when anything may have changed), but not
 * more often than every two seconds, and not while nobody can see the page; while no stream is to be had, every few
 * seconds.
 */
export function useLive(concerns: (event: AuditAnswer) => boolean, refresh: () => void): void {
  // What a page asks for may change with every rendering; what is pending must not be lost by one.
  const latest = useRef({ concerns, refresh });
  latest.current = { concerns, refresh };
  useEffect(() => {
    let pending: ReturnType<typeof setTimeout> | undefined;
    let lastMs = 0;
    let stale = false;
    const run = () => {
      pending = undefined;
      stale = document.hidden;
      if (stale) return;
      lastMs = performance.now();
      latest.current.refresh();
    };
    const listener: Listener = (event) => {
      if (event !== null && !latest.current.concerns(event)) return;
      pending ??= setTimeout(run, Math.max(SETTLE_MS, lastMs + APART_MS - performance.now()));
    };
    const seen = () => {
      if (stale && !document.hidden) run();
    };
    listeners.add(listener);
    document.addEventListener('visibilitychange', seen);
    const fallback = setInterval(() => {
      if (streamState.value !== 'live' && !document.hidden) latest.current.refresh();
    }, AGAIN_MS);
    return () => {
      listeners.delete(listener);
      document.removeEventListener('visibilitychange', seen);
      clearTimeout(pending);
      clearInterval(fallback);
    };
  }, []);
}
