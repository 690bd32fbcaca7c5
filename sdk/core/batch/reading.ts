/** How far a wall-clock time can be believed: not at all, guessed since boot, or set by NTP, GPS or the server. */
export type TimeTrust = 'none' | 'estimated' | 'trusted';

/** In the order of trust: a batch is as trustworthy as its worst reading. On disk a trust is its index here. */
export const TIME_TRUSTS: TimeTrust[] = ['none', 'estimated', 'trusted'];

/** Where a reading stands among others, and what is known of its moment. `wallMs` means nothing when `trust` is `none`. */
export interface ReadingMark {
  /** Counts the readings of this lane across boots; what was once sent under a number is never sent under it again
   * with other content. */
  sequence: number;
  /** Counts the boots of this spool. */
  boot: number;
  /** Milliseconds since that boot: what orders readings when the wall clock is wrong. */
  monotonicMs: number;
  /** Milliseconds since 1970. */
  wallMs: number;
  trust: TimeTrust;
}

/** One measurement. */
export interface Reading extends ReadingMark {
  bytes: Uint8Array;
}

/** A reading as it lies at `[from, to)` of a block; block and view will be used again for the next. */
export interface ReadingView extends ReadingMark {
  block: Uint8Array;
  from: number;
  to: number;
}
