import { DAY_MS, HOUR_MS, MINUTE_MS } from '../swarm/options.ts';
import type { Scenario } from './scenario.ts';

const OUTAGE_MS = 6 * HOUR_MS;

/** The server is away for hours in the middle of a campaign; then the whole fleet comes back at once. */
export const outageThenHerd: Scenario = {
  name: 'outage-then-herd',
  summary: 'the server is away for six hours in the middle of a campaign, then the whole fleet comes back at once',
  options: { days: 4, faults: ['net-loss', 'server-429'], readingEveryMs: 20 * MINUTE_MS },
  begin(world, operator) {
    world.kernel.after(DAY_MS / 2, () => operator.begin({ canary: 5, growth: 10, wave_soak_seconds: 60 }));
    world.kernel.after(DAY_MS / 2 + 30 * MINUTE_MS, () => {
      world.recorder.fault('server-503', -1, 'for six hours');
      world.network.outage(OUTAGE_MS);
      world.kernel.after(OUTAGE_MS, () => {
        for (const member of world.members) member?.device.reconnected();
      });
    });
    operator.watch();
  },
  expects(_world, operator) {
    return operator.completed > 0 ? null : 'the campaign did not complete after the outage';
  },
};
