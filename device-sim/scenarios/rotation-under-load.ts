import { DAY_MS, MINUTE_MS } from '../swarm/options.ts';
import type { Scenario } from './scenario.ts';

/** Every key of the fleet is replaced while every device sends as often as it may. */
export const rotationUnderLoad: Scenario = {
  name: 'rotation-under-load',
  summary: 'every key of the fleet is replaced while all devices send every few minutes',
  options: { days: 3, faults: ['net-loss', 'net-answer-lost', 'net-reorder'], readingEveryMs: 5 * MINUTE_MS },
  begin(world, operator) {
    world.kernel.after(DAY_MS / 2, () => operator.begin({ canary: 5, growth: 4, wave_soak_seconds: 600 }));
    operator.watch();
  },
  expects(_world, operator) {
    return operator.completed > 0 ? null : 'the campaign did not complete';
  },
};
