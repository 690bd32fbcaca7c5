import { DAY_MS } from '../swarm/options.ts';
import type { Scenario } from './scenario.ts';

const AWAY_MS = 70 * DAY_MS;
/** Every fourth device is in a container at sea. */
const AWAY = 4;
/** What waits for its batch to be full is no backlog. */
const BACKLOG_MAX = 12;

/** A part of the fleet is away through three campaigns, half of it in the middle of a rotation. */
export const tenWeeksOffline: Scenario = {
  name: 'ten-weeks-offline',
  summary: 'every fourth device is away for ten weeks and three campaigns, some with a rotation half done',
  options: { days: 80, faults: ['net-loss', 'net-answer-lost'], campaignEveryDays: 20 },
  begin(world, operator) {
    operator.start();
    for (let number = 0; number < world.options.devices; number += AWAY) {
      // Some leave before the first campaign asks them, some right after.
      const leavesAfterMs = DAY_MS + (number % (2 * AWAY) === 0 ? -3_600_000 : 3_600_000);
      world.kernel.after(leavesAfterMs, () => {
        const member = world.members[number];
        if (member === undefined) return;
        world.recorder.fault('device-asleep', number, 'for ten weeks');
        member.device.powerOff();
        member.device.away = true;
        world.kernel.after(AWAY_MS, () => {
          member.device.away = false;
          world.powerUp(number, true);
        });
      });
    }
  },
  expectsByThen(world) {
    const away = world.members.filter((one) => one !== undefined && one.device.traits.number % AWAY === 0);
    const late = away.filter(({ device }) => device.phase !== 'SETTLED' || device.backlog > BACKLOG_MAX);
    return late.length === 0 ? null : `${late.length} of ${away.length} devices that came back did not catch up`;
  },
  expects: () => null,
};
