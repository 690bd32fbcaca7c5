/** Buckets a doubling: a value is known to within 4.5 %. */
const STEPS = 16;
/** 2^-4 ms = 62.5 µs. What is faster counts as that. */
const EXPONENT_MIN = -4;
/** 2^17 ms: two minutes. What is slower counts as that, and `max` still says how slow. */
const EXPONENT_MAX = 17;
const BUCKETS = (EXPONENT_MAX - EXPONENT_MIN) * STEPS;

/** One bar of the histogram: everything above the bar before it and up to `upToMs`. */
export interface Bar {
  upToMs: number;
  count: number;
}

/** Latencies in logarithmic buckets of fixed size: constant memory, whatever is measured, and percentiles within 4.5 %. */
export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  #sumMs = 0;
  count = 0;
  maxMs = 0;

  add(ms: number): void {
    this.count++;
    this.#sumMs += ms;
    if (ms > this.maxMs) this.maxMs = ms;
    const at = Math.ceil((Math.log2(Math.max(ms, Number.MIN_VALUE)) - EXPONENT_MIN) * STEPS);
    const index = Math.min(BUCKETS - 1, Math.max(0, at));
    this.#buckets[index] = (this.#buckets[index] as number) + 1;
  }

  get meanMs(): number {
    return this.count === 0 ? 0 : this.#sumMs / this.count;
  }

  /** The upper edge of the bucket in which the `share` (0 to 1) of all values ends, and never more than the largest value. */
  atMs(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.#buckets[i] as number;
      if (seen >= rank) return i === BUCKETS - 1 ? this.maxMs : Math.min(this.maxMs, edgeMs(i));
    }
    return this.maxMs;
  }

  /** Bars of one doubling each, the empty ones at both ends left out. */
  bars(): Bar[] {
    const bars: Bar[] = [];
    for (let i = 0; i < BUCKETS; i++) {
      const octave = Math.ceil(i / STEPS);
      const bar = bars[octave];
      if (bar === undefined) bars[octave] = { upToMs: edgeMs(octave * STEPS), count: this.#buckets[i] as number };
      else bar.count += this.#buckets[i] as number;
    }
    const first = bars.findIndex(({ count }) => count > 0);
    return first < 0 ? [] : bars.slice(first, bars.findLastIndex(({ count }) => count > 0) + 1);
  }
}

function edgeMs(index: number): number {
  return 2 ** (EXPONENT_MIN + index / STEPS);
}
