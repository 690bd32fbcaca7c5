import { DAY_MS } from '../swarm/options.ts';
import type { Scenario } from './scenario.ts';

/** Seven waves and five days for stragglers; the campaign begins on the second day. */
const CAMPAIGN_DAYS = 94;
/** Waves of 10, 20, 40 and so on: seven of them reach a thousand devices. Each needs a day or two, and is then looked at for so long. */
const RULES = {
  canary: 10,
  growth: 2,
  wave_soak_seconds: 12 * 86_400,
  wave_seconds_max: 6 * 86_400,
};

/** A careful rotation of a quiet fleet: a season from the first device to the last, in the weather of any season. */
export const ninetyDayCampaign: Scenario = {
  name: 'ninety-day-campaign',
  summary: 'every key is replaced in the course of ninety days, while each device sends once a day and things go wrong',
  options: {
    days: CAMPAIGN_DAYS + 5,
    readingEveryMs: DAY_MS,
    batchCount: 1,
    behindBrokerEvery: 0,
    // About one fault in two days and ten devices.
    faultShare: 0.05,
    faults: [
      'net-loss',
      'net-repeat',
      'net-reorder',
      'net-delay',
      'net-answer-lost',
      'net-half-open',
      'server-429',
      'server-503',
      'server-crash',
      'device-reboot',
      'device-power-cut',
      'device-asleep',
      'device-clock',
      'operator-pause',
    ],
  },
  begin(world, operator) {
    world.kernel.after(DAY_MS, () => operator.begin(RULES));
    operator.watch();
  },
  expects(_world, operator) {
    return operator.completed > 0 ? null : 'the campaign did not complete';
  },
};
