/** Height of a row; tables.css has the same number. */
export const ROW_PX = 52;
/** Rows rendered above and below what can be seen, so that a quick scroll meets rows and not paper. */
const BEYOND_ROWS = 12;

/** Which rows of a list are to be rendered, and how much room the others keep. */
export function visibleRows(scrolledPx: number, heightPx: number, count: number) {
  const first = Math.max(0, Math.min(count, Math.floor(scrolledPx / ROW_PX)) - BEYOND_ROWS);
  const last = Math.min(count, Math.ceil((scrolledPx + heightPx) / ROW_PX) + BEYOND_ROWS);
  return { first, last, abovePx: first * ROW_PX, belowPx: (count - last) * ROW_PX };
}
