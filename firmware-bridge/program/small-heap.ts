import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of messages between two collections of young garbage: several times as much lies about by then. */
const EVERY_BYTES = 1_048_576;

type Collect = (options: { type: 'minor' }) => void;

/**
 * Keeps memory at what the bridge holds. V8's young generation grows to 32 MB in a burst (a thousand devices that publish
 * in the same second) and stays so, and buffers of messages, which lie outside of it, are let lie until it is full. So it
 * is kept small, and collected as messages pass. Measured: README.md. Returns what is to be told of each message.
 */
export function keepHeapSmall(): (bytes: number) => void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--max-semi-space-size=2');
  const collect = collector();
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    if (passed < EVERY_BYTES) return;
    passed = 0;
    collect({ type: 'minor' });
  };
}

/** Node shows V8's collector on request; where it does not, nothing is collected out of turn. */
function collector(): Collect {
  try {
    setFlagsFromString('--no-concurrent-array-buffer-sweeping');
    setFlagsFromString('--expose-gc');
    return runInNewContext('gc') as Collect;
  } catch {
    return () => {};
  }
}
