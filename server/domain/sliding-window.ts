/** An exact sliding window: `hits` are the times (ms) of what was accepted, oldest first. */
export interface WindowState {
  /** Hits still inside the window that ends now. */
  hits: number[];
  /** How many more would be accepted now. */
  remaining: number;
  /** Seconds (rounded up, at least 1 when none remain) until one more is accepted than now; 0 when the window is empty. */
  resetSeconds: number;
}

/** The window as it stands at `nowMs`. A clock that was set back never makes a hit outlive one window. */
export function windowAt(
  hits: readonly number[],
  options: { nowMs: number; windowMs: number; max: number },
): WindowState {
  const { nowMs, windowMs, max } = options;
  const inside = hits.filter((at) => at > nowMs - windowMs && at <= nowMs + windowMs);
  const remaining = Math.max(0, max - inside.length);
  const oldest = inside[Math.max(0, inside.length - max)];
  const resetSeconds = oldest === undefined ? 0 : Math.max(1, Math.ceil((oldest + windowMs - nowMs) / 1000));
  return { hits: inside, remaining, resetSeconds };
}

/** The hits after one more is accepted at `nowMs`, or null when the window is full. */
export function takeFromWindow(
  hits: readonly number[],
  options: { nowMs: number; windowMs: number; max: number },
): number[] | null {
  const state = windowAt(hits, options);
  return state.remaining === 0 ? null : [...state.hits, options.nowMs];
}
