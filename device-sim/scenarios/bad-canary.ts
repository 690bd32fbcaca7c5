import { DAY_MS, HOUR_MS } from '../swarm/options.ts';
import type { Scenario } from './scenario.ts';

/** The devices of the first wave lose their new keys; the campaign must stop itself before the second wave. */
export const badCanary: Scenario = {
  name: 'bad-canary',
  summary: 'the first wave goes wrong: the campaign pauses by itself, the rest of the fleet keeps its keys',
  options: { days: 4, faults: [] },
  begin(world, operator) {
    const bad = new Set<string>();
    world.kernel.after(DAY_MS / 2, () => operator.begin({ canary: 3, errors_percent_max: 20, sample_min: 2 }));
    const spoil = () => {
      world.kernel.after(HOUR_MS / 12, spoil);
      for (const member of world.members) {
        if (member?.device.phase !== 'PROVEN' || bad.has(member.id)) continue;
        bad.add(member.id);
        operator.orderDevice(member, 'roll-back', null);
      }
    };
    world.kernel.after(DAY_MS / 2, spoil);
    operator.resumes = false;
    operator.watch();
  },
  expects(world, operator) {
    const paused =
      (world.recorder.campaign['CANARY']?.['PAUSED'] ?? 0) + (world.recorder.campaign['SOAK']?.['PAUSED'] ?? 0);
    if (paused === 0) return 'the campaign did not pause itself';
    return operator.wavesSeen > 0 ? 'the campaign went past its canary' : null;
  },
};
