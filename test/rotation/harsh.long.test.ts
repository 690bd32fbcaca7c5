import { test } from 'vitest';
import { harshLife } from './harsh.ts';

test.each([
  ['memory', 100, 100],
  ['sqlite', 500, 10],
] as const)(
  '%s, seeds from %i, %i of them: everything at once, by chance → all converge',
  async (kind, from, count) => {
    for (let seed = from; seed < from + count; seed++) {
      await harshLife(kind, seed).catch((error: unknown) => {
        throw new Error(`harshLife('${kind}', ${seed})`, { cause: error });
      });
    }
  },
  600_000,
);
