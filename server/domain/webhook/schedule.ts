/** Tries of one message: with the waits below, over about a day. */
export const TRIES_MAX = 10;
const FIRST_WAIT_MS = 5_000;
const WAIT_FACTOR = 4;
const WAIT_MS_MAX = 8 * 3_600_000;
/** A webhook that has taken nothing for this long when a message is given up is disabled. */
const DISABLED_AFTER_MS = 20 * 3_600_000;

/**
 * How long to wait after the given number of failed tries: exponential, within a fifth of it by chance (`chance` from 0 to 1), so that the
 * messages of an outage do not come back all at once; at least what the receiver asked for.
 */
export function waitMs(tries: number, options: { chance: number; retryAfterSeconds: number | null }): number {
  const plain = Math.min(WAIT_MS_MAX, FIRST_WAIT_MS * WAIT_FACTOR ** (tries - 1));
  const jittered = Math.round(plain * (0.8 + 0.4 * options.chance));
  return Math.min(WAIT_MS_MAX, Math.max(jittered, (options.retryAfterSeconds ?? 0) * 1000));
}

export type Verdict = 'delivered' | 'again' | 'given-up' | 'gone';

/** What a try's status means; null: there was no answer. 410 says that nobody wants these messages any more. */
export function judgeTry(status: number | null, tries: number): Verdict {
  if (status !== null && status >= 200 && status < 300) return 'delivered';
  if (status === 410) return 'gone';
  return tries >= TRIES_MAX ? 'given-up' : 'again';
}

export function isHopeless(failingSinceMs: number | null, nowMs: number): boolean {
  return failingSinceMs !== null && nowMs - failingSinceMs >= DISABLED_AFTER_MS;
}
