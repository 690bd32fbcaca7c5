import { performance } from 'node:perf_hooks';
import type { Clock } from '../../ports/crypto.ts';

/** The machine's clocks. Monotonic time has an arbitrary start and never goes back. */
export const nodeClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
