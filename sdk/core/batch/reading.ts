/** How far a wall-clock time can be believed: not at all, guessed since boot, or set by NTP, GPS or the server. */
export type TimeTrust = 'none' | 'estimated' | 'trusted';

/** In the order of trust: a batch is as trustworthy as its worst reading. On disk a trust is its index here. */
export const TIME_TRUSTS: TimeTrust[] = ['none', 'estimated', 'trusted'];

/** One measurement with what is known of its moment. `wallMs` means nothing when `trust` is `none`. */
export interface Reading {
  bytes: Uint8Array;
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
