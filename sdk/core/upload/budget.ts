/**
 * The sliding window of uploads a device may start, with part of it kept for lane 0, so that a rotation can always
 * be proven however large the backlog is. Times are monotonic ms.
 */
export interface BudgetRules {
  uploadsPerWindow: number;
  windowMs: number;
  uploadsKeptForLane0: number;
}

/** The starts that still count at `nowMs`, oldest first. A clock that jumped back counts as the present. */
export function hitsInWindow(hits: readonly number[], nowMs: number, rules: BudgetRules): number[] {
  const inside: number[] = [];
  for (let i = 0; i < hits.length; i++) {
    const at = hits[i] as number;
    if (at > nowMs - rules.windowMs) inside.push(at < nowMs ? at : nowMs);
  }
  return inside;
}

/** When the next upload of `lane` may start: `nowMs` if at once. `hits` as `hitsInWindow` gives them. */
export function budgetFreeAtMs(hits: readonly number[], lane: number, nowMs: number, rules: BudgetRules): number {
  const most = lane === 0 ? rules.uploadsPerWindow : rules.uploadsPerWindow - rules.uploadsKeptForLane0;
  if (hits.length < most) return nowMs;
  const leaving = hits[hits.length - most];
  return leaving === undefined ? nowMs + rules.windowMs : leaving + rules.windowMs;
}
