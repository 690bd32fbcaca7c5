import { expect, test } from 'vitest';
import type { Operator } from '../swarm/operator.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, swarmOptions } from '../swarm/options.ts';
import { runSwarm } from '../swarm/run.ts';
import type { World } from '../swarm/world.ts';
import { scenarioNamed } from './index.ts';

type Spoil = (world: World, operator: Operator) => void;

/** What makes each story end otherwise: a scenario that nothing can spoil asserts nothing. */
const SPOILT: [string, string, Spoil, string][] = [
  [
    'rotation-under-load',
    'the campaign is called off',
    ({ kernel }, operator) => void kernel.after(DAY_MS / 2 + MINUTE_MS, () => operator.orderCampaign('abort')),
    'the campaign did not complete',
  ],
  [
    'outage-then-herd',
    'somebody aborts during the outage',
    ({ kernel }, operator) => void kernel.after(0.6 * DAY_MS, () => operator.orderCampaign('abort')),
    'the campaign did not complete after the outage',
  ],
  [
    'stolen-key',
    'the quarantine is lifted at once',
    (world, operator) => {
      world.kernel.after(DAY_MS + 12 * HOUR_MS + 1000, () => {
        const [victim] = world.members;
        if (victim !== undefined) operator.orderDevice(victim, 'release', null);
      });
    },
    'the device still uses the key that was copied',
  ],
  [
    'bad-canary',
    'an operator resumes whatever pauses',
    ({ kernel }, operator) => {
      const resume = () => {
        kernel.after(HOUR_MS, resume);
        if (operator.campaign?.state === 'PAUSED') operator.orderCampaign('resume');
      };
      kernel.after(DAY_MS, resume);
    },
    'the campaign went past its canary',
  ],
  [
    'database-restored',
    'one device is without power since',
    (world) => {
      world.kernel.after(4 * DAY_MS, () => {
        const [first] = world.members;
        if (first === undefined) return;
        first.supplied = false;
        first.device.powerOff();
      });
    },
    '1 devices did not recover by themselves',
  ],
];

test.each(SPOILT)('scenario %s: %s → it is said that the story did not go so', async (name, _what, spoil, missed) => {
  const options = swarmOptions({ seed: 5, devices: 4, scenario: name }, scenarioNamed(name).options);
  const result = await runSwarm(options, { begun: spoil });
  expect(result).toMatchObject({ ok: false, missed });
});
