import { describe, expect, test } from 'vitest';
import { ROW_PX, visibleRows } from './visible-rows.ts';

describe('visible rows', () => {
  test.each([
    ['at the top', 0, 0, 12 + 12],
    ['in the middle of 10,000', 5_000 * ROW_PX, 5_000 - 12, 5_000 + 12 + 12],
    ['at the end', 10_000 * ROW_PX, 10_000 - 12, 10_000],
    ['scrolled beyond the end', 99_999 * ROW_PX, 10_000 - 12, 10_000],
  ])('%s → a window of a few rows, and room for all others', (_where, scrolled, first, last) => {
    const shown = visibleRows(scrolled, 12 * ROW_PX, 10_000);
    expect(shown).toMatchObject({ first, last });
    expect(shown.abovePx + shown.belowPx + (last - first) * ROW_PX).toBe(10_000 * ROW_PX);
    expect(last - first).toBeLessThan(50);
  });

  test('no rows → none', () => {
    expect(visibleRows(0, 800, 0)).toEqual({ first: 0, last: 0, abovePx: 0, belowPx: 0 });
  });
});
