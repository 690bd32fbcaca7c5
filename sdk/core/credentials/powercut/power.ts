/** The supply of an emulated medium: every word programmed, page erased, sync and rename takes one operation of it. */
export interface Power {
  /** Operations begun since it was made. */
  operations: number;
  /** Operations still to complete before the cut; −1 while the supply is steady. */
  left: number;
  /** True from the cut until the medium is rebooted: nothing works meanwhile. */
  dark: boolean;
  /** Called before every operation, with the medium as a cut at this point would find it (until it is rebooted). */
  watch: (() => void) | null;
}

export type PowerCut = Error & { code: 'power_cut' };

export function steadyPower(): Power {
  return { operations: 0, left: -1, dark: false, watch: null };
}

/** A supply of its own for the copy of a medium: as dark as the original, watched by nobody. */
export function copyPower(power: Power): Power {
  return { operations: power.operations, left: power.left, dark: power.dark, watch: null };
}

export function isPowerCut(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'power_cut';
}

function powerCut(): PowerCut {
  const error = new Error('the power was cut here') as PowerCut;
  error.code = 'power_cut';
  return error;
}

/**
 * Called by a medium at each operation, before it has any effect. Throws a PowerCut when this is the one that is cut
 * (`torn` is called first, so that the medium can note what it was doing) and whenever the medium is dark.
 */
export function spend(power: Power, torn: () => void): void {
  if (power.dark) throw powerCut();
  power.operations++;
  if (power.watch) {
    torn();
    power.watch();
  }
  if (power.left === 0) {
    power.dark = true;
    power.left = -1;
    torn();
    throw powerCut();
  }
  if (power.left > 0) power.left--;
}

/**
 * So many operations at once, where nothing would come of looking at each: false, and none is spent, where one of them
 * may be cut or is watched.
 */
export function spendAll(power: Power, count: number): boolean {
  if (power.dark || power.watch || (power.left >= 0 && power.left < count)) return false;
  power.operations += count;
  if (power.left > 0) power.left -= count;
  return true;
}
