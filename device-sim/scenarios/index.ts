import { badCanary } from './bad-canary.ts';
import { databaseRestored } from './database-restored.ts';
import { ninetyDayCampaign } from './ninety-day-campaign.ts';
import { outageThenHerd } from './outage-then-herd.ts';
import { rotationUnderLoad } from './rotation-under-load.ts';
import type { Scenario } from './scenario.ts';
import { stolenKey } from './stolen-key.ts';
import { tenWeeksOffline } from './ten-weeks-offline.ts';

/** Every scenario there is. A new one is a file, and a line here. */
export const SCENARIOS: readonly Scenario[] = [
  rotationUnderLoad,
  outageThenHerd,
  tenWeeksOffline,
  stolenKey,
  badCanary,
  databaseRestored,
  ninetyDayCampaign,
];

/** The scenario of that name. Throws RangeError with the names there are. */
export function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new RangeError(`expected one of ${SCENARIOS.map((one) => one.name).join(', ')}, got ${name}`);
}
