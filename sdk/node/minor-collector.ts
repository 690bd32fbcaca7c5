import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects what is young and dead, at once. */
export type CollectMinor = (options: { type: 'minor' }) => void;

/** V8's collector, which Node shows on request; where it does not, nothing is collected out of turn. */
export function minorCollector(): CollectMinor {
  try {
    setFlagsFromString('--no-concurrent-array-buffer-sweeping');
    setFlagsFromString('--expose-gc');
    return runInNewContext('gc') as CollectMinor;
  } catch {
    return () => {};
  }
}
