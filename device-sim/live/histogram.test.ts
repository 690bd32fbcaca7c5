import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';

test('histogram: a thousand known values → percentiles within one bucket, the maximum exact', () => {
  const histogram = new Histogram();
  for (let ms = 1; ms <= 1000; ms++) histogram.add(ms);
  for (const share of [0.5, 0.9, 0.99]) {
    expect(histogram.atMs(share) / (share * 1000)).toBeGreaterThanOrEqual(1);
    expect(histogram.atMs(share) / (share * 1000)).toBeLessThan(1.045);
  }
  expect([histogram.count, histogram.maxMs, histogram.atMs(1), histogram.meanMs]).toEqual([1000, 1000, 1000, 500.5]);
});

test('histogram: its bars → doublings from the smallest to the largest value, every value in one of them', () => {
  const histogram = new Histogram();
  for (const ms of [3, 5, 5.5, 100]) histogram.add(ms);
  const bars = histogram.bars();
  expect(bars[0]).toEqual({ upToMs: 4, count: 1 });
  expect(bars[1]).toEqual({ upToMs: 8, count: 2 });
  expect(bars.at(-1)).toEqual({ upToMs: 128, count: 1 });
  expect(bars.reduce((sum, { count }) => sum + count, 0)).toBe(4);
});

test.each([
  ['nothing', [], 0, 0],
  ['faster than the first bucket', [0.001], 0.001, 0.001],
  ['zero', [0], 0, 0],
  ['slower than the last bucket', [9_000_000], 9_000_000, 9_000_000],
])('histogram: %s → no value is lost and none is made up', (_what, values, median, most) => {
  const histogram = new Histogram();
  for (const ms of values) histogram.add(ms);
  expect(histogram.atMs(0.5)).toBeCloseTo(median, 3);
  expect(histogram.maxMs).toBe(most);
  expect(histogram.bars().reduce((sum, { count }) => sum + count, 0)).toBe(values.length);
});
