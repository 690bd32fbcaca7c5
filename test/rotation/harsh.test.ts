import { expect, test } from 'vitest';
import { harshLife } from './harsh.ts';

const seeds = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i);

test.each(seeds(12))(
  'seed %i: three devices under campaigns and orders; loss, repeats, delay, reordering, power cuts, crashes → all converge',
  async (seed) => {
    await expect(harshLife('memory', seed)).resolves.toBeUndefined();
  },
  180_000,
);
