import { DAY_MS, HOUR_MS } from '../swarm/options.ts';
import type { Scenario } from './scenario.ts';

/** A backup is taken before a campaign and brought back after it: the server knows none of the new keys. */
export const databaseRestored: Scenario = {
  name: 'database-restored',
  summary: 'the database is restored to before a campaign: no new key is known, and every device recovers',
  options: { days: 8, faults: ['net-loss'] },
  begin(world, operator) {
    world.kernel.after(DAY_MS / 2, () => world.servers.backUp());
    world.kernel.after(DAY_MS, () => operator.begin({ canary: 5, growth: 20, wave_soak_seconds: 60 }));
    world.kernel.after(3 * DAY_MS + HOUR_MS, () => {
      world.recorder.fault('server-restore', -1);
      world.oracle.restored();
      operator.campaign = null;
      world.servers.restore(() => {});
    });
    operator.watch();
  },
  expectsByThen(world) {
    const lost = world.members.filter((one) => one !== undefined && one.device.phase !== 'SETTLED');
    return lost.length === 0 ? null : `${lost.length} devices did not recover by themselves`;
  },
  expects: () => null,
};
