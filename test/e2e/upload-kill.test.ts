import { expect, it } from 'vitest';
import { killLoop } from '../support/kill-loop.ts';

it.each([1, 2])(
  'kill -9 of the server while uploads are under way, seed %i → each goes on and ends whole',
  async (seed) => {
    const { kills, resumes } = await killLoop({ seed, uploads: 3, bytesMax: 3_000_000, kills: 5 });
    expect(kills).toBe(5);
    expect(resumes).toBeGreaterThan(0);
  },
);
