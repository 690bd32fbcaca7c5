export interface BackOffRules {
  msMin: number;
  msBase: number;
  msMax: number;
}

/**
 * Full jitter ("Exponential Backoff And Jitter", AWS 2015) with a floor: somewhere in [msMin, min(msMax, msBase · 2^attempt)].
 * `attempt` counts from 0; `random` is in [0, 1).
 */
export function fullJitterMs(attempt: number, random: number, rules: BackOffRules): number {
  // 2^10 steps are past every cap, so that weeks offline do not overflow.
  const wide = rules.msBase * (1 << Math.min(attempt, 10));
  const ceiling = Math.max(Math.min(wide, rules.msMax), rules.msMin);
  return Math.round(rules.msMin + random * (ceiling - rules.msMin));
}
