import type { Deps } from '#server';

/** The server's clock, which a test can put forward; real time goes on from there. */
export function shiftClock(deps: Deps): { forward(ms: number): void } {
  const real = deps.clock;
  let shiftMs = 0;
  deps.clock = {
    nowMs: () => real.nowMs() + shiftMs,
    monotonicMs: () => real.monotonicMs() + shiftMs,
  };
  return {
    forward(ms) {
      shiftMs += ms;
    },
  };
}
