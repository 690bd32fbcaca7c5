import { SIGN_IN_FAILURES_FREE, SIGN_IN_WAIT_SECONDS_MAX } from '#sdk/protocol';

/** Failures in a row, and until when the next attempt must wait. */
export interface Waits {
  failures: number;
  wait_until_ms: number;
  at_ms: number;
}

/** A day without a failure forgets all of them. */
export const FAILURES_KEPT_MS = 86_400_000;

/**
 * The state after one more failure: the first few are free, then the wait doubles from one second to an hour. At one
 * try an hour, three codes of a million valid at a time, guessing for a year succeeds with 2.6 %.
 */
export function afterFailure(before: Waits | null, nowMs: number): Waits {
  const kept = before !== null && nowMs - before.at_ms < FAILURES_KEPT_MS ? before.failures : 0;
  const failures = kept + 1;
  const beyond = failures - SIGN_IN_FAILURES_FREE;
  const seconds = beyond < 0 ? 0 : Math.min(2 ** Math.min(beyond, 30), SIGN_IN_WAIT_SECONDS_MAX);
  // No wait is no moment at all: a node whose clock is a little behind would still be before this one's now.
  return { failures, wait_until_ms: seconds === 0 ? 0 : nowMs + seconds * 1000, at_ms: nowMs };
}

/** Seconds (rounded up) the next attempt must wait; 0 when it may come now. */
export function secondsToWait(state: Waits | null, nowMs: number): number {
  if (state === null || state.wait_until_ms <= nowMs) return 0;
  // A clock that was set back must not make a wait longer than the longest there is.
  return Math.min(Math.ceil((state.wait_until_ms - nowMs) / 1000), SIGN_IN_WAIT_SECONDS_MAX);
}

/** What attempts are counted by: an IPv4 address, or the /64 an IPv6 subscriber chooses addresses from. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  const groups = [...front, ...Array.from({ length: zeros }, () => '0'), ...back];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
