import { randomFillSync } from 'node:crypto';
import type { Random } from '../../ports/crypto.ts';

/** Bytes drawn from the operating system at a time: nonces and tokens are small, and each system call costs. */
const POOL_BYTES = 4096;

/** The operating system's generator. Every byte is given out once, and wiped from the pool as it goes. */
export function createNodeRandom(): Random {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    bytes(count) {
      const out = new Uint8Array(count);
      if (count > POOL_BYTES / 4) return randomFillSync(out);
      if (used + count > POOL_BYTES) {
        randomFillSync(pool);
        used = 0;
      }
      out.set(pool.subarray(used, used + count));
      pool.fill(0, used, used + count);
      used += count;
      return out;
    },
  };
}

export const nodeRandom: Random = createNodeRandom();
