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
  // 2^30 base steps are past any cap; without the bound the power overflows to Infinity after weeks offline.
  const steps = attempt > 30 ? 30 : attempt;
  const wide = rules.msBase * 2 ** steps;
  const ceiling = wide < rules.msMax ? wide : rules.msMax;
  return ceiling <= rules.msMin ? rules.msMin : Math.round(rules.msMin + random * (ceiling - rules.msMin));
}
