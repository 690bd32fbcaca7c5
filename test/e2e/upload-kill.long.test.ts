import { expect, it } from 'vitest';
import { killLoop } from '../support/kill-loop.ts';

/** Fifteen of them are every mix of how many and how large. */
const SEEDS = Array.from({ length: 25 }, (_, i) => 100 + i);

it.each(SEEDS)('kill -9 of the server, many times, seed %i → every upload ends whole', async (seed) => {
  const options = { seed, uploads: 1 + (seed % 5), bytesMax: seed % 3 === 0 ? 40_000_000 : 2_000_000, kills: 12 };
  expect((await killLoop(options)).kills).toBe(12);
});
