const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const STEPS: readonly [unit: Intl.RelativeTimeFormatUnit, ms: number][] = [
  ['year', 365 * DAY_MS],
  // Up to sixty days, days say more than "1 month".
  ['month', 30 * DAY_MS],
  ['day', DAY_MS],
  ['hour', HOUR_MS],
  ['minute', MINUTE_MS],
];

function leastMs(unit: Intl.RelativeTimeFormatUnit, ms: number): number {
  return unit === 'month' ? 2 * ms : ms;
}

/** "5 min", "3 days": hours and minutes are so common that their short names read faster. */
function spanText(count: number, unit: Intl.RelativeTimeFormatUnit): string {
  if (unit === 'hour') return `${count} h`;
  if (unit === 'minute') return `${count} min`;
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

/** "5 min ago", "in 3 days"; less than a minute away is "just now". */
export function agoText(atMs: number, nowMs: number): string {
  const apartMs = atMs - nowMs;
  for (const [unit, ms] of STEPS) {
    if (Math.abs(apartMs) < leastMs(unit, ms)) continue;
    const span = spanText(Math.floor(Math.abs(apartMs) / ms), unit);
    return apartMs < 0 ? `${span} ago` : `in ${span}`;
  }
  return apartMs > 30_000 ? 'in less than a minute' : 'just now';
}

/** How old something is: "3 days", "2 h". */
export function ageText(sinceMs: number, nowMs: number): string {
  return durationText(Math.max(0, nowMs - sinceMs));
}

/** A span of time in its largest unit. */
export function durationText(ms: number): string {
  for (const [unit, size] of STEPS) {
    if (ms >= leastMs(unit, size)) return spanText(Math.floor(ms / size), unit);
  }
  return `${ms > 0 ? Math.max(1, Math.round(ms / 1000)) : 0} s`;
}

/** Date and time in the viewer's zone. */
export function localText(atMs: number): string {
  return new Date(atMs).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** Time of day in the viewer's zone, to the second. */
export function clockText(atMs: number): string {
  return new Date(atMs).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** The exact instant for a title: the viewer's own time with its zone, and the same in UTC. */
export function exactText(iso: string): string {
  const at = new Date(iso);
  const local = at.toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'long' });
  return `${local}\n${at.toISOString()}`;
}
