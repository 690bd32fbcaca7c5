import { TOTP_DRIFT_STEPS, TOTP_STEP_SECONDS } from '#sdk/protocol';

/** The time step that `nowMs` lies in [RFC 6238 §4.2]. */
export function totpStepAt(nowMs: number): number {
  return Math.floor(nowMs / (TOTP_STEP_SECONDS * 1000));
}

/** The steps whose codes a clock may show now: one before, this one, one after [RFC 6238 §5.2, §6]. */
export function totpSteps(nowMs: number): number[] {
  const now = totpStepAt(nowMs);
  const steps: number[] = [];
  for (let drift = -TOTP_DRIFT_STEPS; drift <= TOTP_DRIFT_STEPS; drift++) steps.push(now + drift);
  return steps;
}

export type TotpVerdict = { kind: 'accepted'; step: number } | { kind: 'used' } | { kind: 'wrong' };

/**
 * Judges a code by the steps it is the code of. It counts once [RFC 6238 §5.2]: a step at or before the last accepted
 * one is spent, and so is every earlier step, so that a code seen over a shoulder is worth nothing later.
 */
export function judgeTotp(matchingSteps: readonly number[], lastStep: number): TotpVerdict {
  const fresh = matchingSteps.filter((step) => step > lastStep);
  const step = fresh[0];
  if (step !== undefined) return { kind: 'accepted', step };
  return matchingSteps.length > 0 ? { kind: 'used' } : { kind: 'wrong' };
}

/** Six digits, as people type them: spaces in between are fine. Null for anything else. */
export function totpDigits(text: string): string | null {
  const digits = text.replace(/[ \u00a0-]/g, '');
  return /^[0-9]{6}$/.test(digits) ? digits : null;
}
