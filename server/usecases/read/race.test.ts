import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimLink } from './claim-link.ts';
import type { OpenRead } from './read-link.ts';
import { type Bench, codeOf, finish, openBench } from './reading.testkit.ts';

const ROUNDS = 1_000;
const READERS = 64;

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

describe('64 readers at once, a thousand times', () => {
  it('plain GETs, claims or both → exactly one gets the bytes, the others are told to wait, then that it is gone', async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    for (let round = 0; round < ROUNDS; round++) {
      const { token, row } = await bench.upload(bytes);
      const served: (OpenRead | { claim: string })[] = [];
      const refused: string[] = [];
      await Promise.all(
        Array.from({ length: READERS }, async (_, i) => {
          const byClaim = round % 3 === 1 || (round % 3 === 2 && i % 2 === 0);
          try {
            const asked = byClaim
              ? claimLink(bench.deps, token, { from: '192.0.2.1' })
              : bench.begin(token, { readerTag: `reader ${i}` });
            served.push(await asked);
          } catch (error) {
            refused.push((error as { code: string }).code);
          }
        }),
      );
      expect(served).toHaveLength(1);
      expect(new Set(refused)).toEqual(new Set(['transfer_leased']));
      const winner = served[0] as OpenRead | { claim: string };
      if ('claim' in winner) {
        expect((await bench.row(row.id)).attempts).toBe(1);
        continue;
      }
      const [{ bytes: got }, ...late] = await Promise.all([
        finish(winner, 'proven'),
        ...Array.from({ length: 3 }, (_, i) => codeOf(bench.begin(token, { readerTag: `late ${i}` }))),
      ]);
      expect(got).toEqual(bytes);
      for (const code of late) expect(['transfer_leased', 'link_burned']).toContain(code);
      expect(await codeOf(bench.begin(token))).toBe('link_burned');
    }
  });
});
