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
  // Doubled no further than the cap, so that weeks offline do not overflow.
  let wide = rules.msBase;
  for (let i = 0; i < attempt && wide < rules.msMax; i++) wide *= 2;
  const ceiling = wide < rules.msMax ? wide : rules.msMax;
  return ceiling <= rules.msMin ? rules.msMin : Math.round(rules.msMin + random * (ceiling - rules.msMin));
}
