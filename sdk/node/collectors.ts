import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects what is young and dead, at once. */
export type CollectMinor = (options: { type: 'minor' }) => void;

/** V8's collector, which Node shows on request; where it does not, nothing is collected out of turn. */
function collector<Collect>(): Collect | (() => void) {
  try {
    setFlagsFromString('--expose-gc');
    return runInNewContext('gc') as Collect;
  } catch {
    return () => {};
  }
}

export function minorCollector(): CollectMinor {
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  return collector<CollectMinor>();
}

/** Collects everything that is dead, at once. */
export function fullCollector(): () => void {
  return collector<() => void>();
}
