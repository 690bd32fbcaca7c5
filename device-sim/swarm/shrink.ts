import type { InvariantName } from '../oracle/invariants.ts';
import type { SwarmOptions } from './options.ts';
import { runSwarm, type SwarmResult } from './run.ts';

/** Runs a shrinking may cost. */
const TRIES_MAX = 80;

export interface Shrunk {
  options: SwarmOptions;
  /** The smallest run that still breaks it, up to that moment, with its trace kept. */
  result: SwarmResult;
  tries: number;
}

/**
 * Makes a failing run smaller for as long as it still breaks the same invariant: fewer days, fewer devices, fewer kinds
 * of fault, fewer campaigns. `told` is called with every smaller run that was found.
 */
export async function shrink(
  first: SwarmOptions,
  invariant: InvariantName,
  told: (options: SwarmOptions) => void,
): Promise<Shrunk> {
  let best = first;
  let tries = 0;
  const stillBreaks = async (options: SwarmOptions): Promise<boolean> => {
    if (tries >= TRIES_MAX) return false;
    tries++;
    // What would come after it is of no use here: a fleet that is locked out takes long to be given up.
    const { broken } = await runSwarm(options, { stopWhenBroken: invariant });
    if (!broken.some((one) => one.invariant === invariant)) return false;
    best = options;
    told(options);
    return true;
  };
  for (let moved = true; moved && tries < TRIES_MAX; ) {
    moved = false;
    // The fewest first: what comes after them would make it larger again.
    for (const smaller of smallerDays(best)) {
      if (!(await stillBreaks(smaller))) continue;
      moved = true;
      break;
    }
    for (let devices = best.devices >> 1; devices >= 1; devices >>= 1) {
      if (!(await stillBreaks({ ...best, devices }))) break;
      moved = true;
    }
    // Half of the kinds at once where that goes, then one by one.
    for (let width = best.faults.length >> 1; width >= 1; width >>= 1) {
      for (let at = 0; at < best.faults.length; ) {
        const faults = best.faults.filter((_, index) => index < at || index >= at + width);
        if (await stillBreaks({ ...best, faults })) moved = true;
        else at += width;
      }
    }
  }
  const options = { ...best, keepTrace: true };
  return { options, result: await runSwarm(options, { stopWhenBroken: invariant }), tries };
}

function smallerDays(options: SwarmOptions): SwarmOptions[] {
  const { days } = options;
  const sizes = [Math.ceil(days / 4), Math.ceil(days / 2), days - 1];
  return [...new Set(sizes)].filter((size) => size >= 1 && size < days).map((size) => ({ ...options, days: size }));
}
