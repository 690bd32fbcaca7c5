import { setFlagsFromString } from 'node:v8';
import { minorCollector } from '#sdk/node';

/** Bytes of messages between two collections of young garbage: several times as much lies about by then. */
const EVERY_BYTES = 1_048_576;

/**
 * Keeps memory at what the bridge holds. V8's young generation grows to 32 MB in a burst (a thousand devices that publish
 * in the same second) and stays so, and buffers of messages, which lie outside of it, are let lie until it is full. So it
 * is kept small, and collected as messages pass. Measured: README.md. Returns what is to be told of each message.
 */
export function keepHeapSmall(): (bytes: number) => void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--max-semi-space-size=2');
  // What of messages outlived the young generation is let lie until the heap has doubled: 80 MB in a burst of a thousand.
  setFlagsFromString('--heap-growing-percent=15');
  const collect = minorCollector();
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    if (passed < EVERY_BYTES) return;
    passed = 0;
    collect({ type: 'minor' });
  };
}
