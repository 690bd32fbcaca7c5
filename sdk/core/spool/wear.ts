/**
 * Bytes written in the last 24 hours, because SD cards wear: 25 buckets of an hour, so that no 24 hours ever hold more
 * than the cap. Hours are those the device was running, counted by its monotonic clock; time while it was off gives
 * nothing back, which errs on the side of the card.
 */
const HOUR_MS = 3600000;
const BUCKETS = 25;

export interface Wear {
  /** Bytes by hour, the present one first. */
  hours: number[];
  /** Monotonic ms at which the present bucket began. */
  hourStartMs: number;
  sum: number;
}

/** `hours`: what an earlier boot wrote, as `wear.hours` was then; anything unfit counts as nothing. */
export function openWear(hours: unknown, nowMs: number): Wear {
  const wear: Wear = { hours: [], hourStartMs: nowMs, sum: 0 };
  for (let i = 0; i < BUCKETS; i++) {
    const bytes = Array.isArray(hours) && hours[i] > 0 ? Number(hours[i]) : 0;
    wear.hours.push(bytes);
    wear.sum += bytes;
  }
  return wear;
}

/** Lets hours pass. A clock that went backwards passes none. */
export function ageWear(wear: Wear, nowMs: number): void {
  let passed = 0;
  while (nowMs - wear.hourStartMs >= HOUR_MS && passed <= BUCKETS) {
    wear.hourStartMs += HOUR_MS;
    wear.hours.unshift(0);
    wear.sum -= wear.hours.pop() as number;
    passed++;
  }
  if (passed > BUCKETS) wear.hourStartMs = nowMs;
}

export function chargeWear(wear: Wear, bytes: number): void {
  wear.hours[0] = (wear.hours[0] as number) + bytes;
  wear.sum += bytes;
}

/** Monotonic ms at which the present hour ends: the soonest that anything can be given back. */
export function wearRelievedAtMs(wear: Wear): number {
  return wear.hourStartMs + HOUR_MS;
}
