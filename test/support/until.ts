import { setTimeout as pause } from 'node:timers/promises';

/**
 * Asks again until `probe` gives something other than null, undefined or false; throws what it last saw after
 * `limitMs`. For states that are reached soon but without an event to wait for (a file gone, a row cleared).
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = 15_000,
): Promise<Exclude<T, null | undefined | false>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const seen = await probe();
    if (seen !== null && seen !== undefined && seen !== false) return seen as Exclude<T, null | undefined | false>;
    if (performance.now() > end) throw new Error(`expected within ${limitMs} ms: ${what}`);
    await pause(5);
  }
}
