/** Bytes that look random and are the same for the same seed and position: content that needs no file to compare with. */
export function seededBytes(length: number, seed = 1): Buffer {
  const out = Buffer.alloc(length);
  let state = (Math.imul(seed, 0x9e3779b9) ^ 0x5bd1e995) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state >>> 24;
  }
  return out;
}

/** A source of numbers for faults: `next(n)` is a whole number in [0, n). */
export function seededChance(seed: number): { next(below: number): number } {
  let state = Math.imul(seed, 0x85ebca6b) >>> 0 || 1;
  return {
    next(below) {
      state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
      return Math.floor((state / 4294967296) * below);
    },
  };
}
