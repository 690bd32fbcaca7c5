import { expect, test } from 'vitest';
import { deviceRemovals, findHarm, serverRemovals } from './removal.ts';

const removals = [...deviceRemovals(), ...serverRemovals()].filter((one) => !one.safety);

// The other half of "safety rows are exactly those that the checker can tell"; each runs every probe to its end.
test.each(removals)('model: without "$row", which is no safety row → still sound', (removal) => {
  expect(findHarm(removal)).toBeNull();
});
