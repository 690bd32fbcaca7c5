import { signal } from '@preact/signals';

const TICK_MS = 10_000;

/** A viewer's clock that is off by less is taken for right: answers take their time, and Date has whole seconds. */
const SKEW_MS_MIN = 30_000;

let skewMs = 0;

/** The server's time, which "5 min ago" is counted from. Moves on every ten seconds, not with every frame. */
export const nowMs = signal(Date.now());

export function startClock(): void {
  setInterval(() => {
    nowMs.value = Date.now() + skewMs;
  }, TICK_MS);
}

/** What the `Date` of an answer says of the viewer's clock; nothing where it has none. */
export function noteServerTime(date: string | null): void {
  const apartMs = date === null ? Number.NaN : Date.parse(date) - Date.now();
  if (Number.isNaN(apartMs)) return;
  const before = skewMs;
  skewMs = Math.abs(apartMs) < SKEW_MS_MIN ? 0 : apartMs;
  if (Math.abs(before - skewMs) >= SKEW_MS_MIN) nowMs.value = Date.now() + skewMs;
}
