import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { fullCollector } from '#sdk/node';

/** What may lie dead in the heap, which holds some 8 MB, before it is collected. */
const GARBAGE_BYTES_MAX = 1_572_864;

/**
 * Keeps a process that runs for months small: a device has better uses for memory than V8 has. V8's compilers that
 * optimise cost 10 MB (their own code, and what they work with), which pays for a program that computes, and this one
 * waits; and V8 lets the heap double before it looks at what is old. With 10 GB waiting to be sent over TLS that is 62 MB
 * of RSS instead of 79 (`backlog.long.test.ts` has the figures), for 0.1 s of the processor's time a megabyte sent
 * instead of 0.03. Returns what is to be called now and then; it rarely does anything.
 */
export function keepProcessSmall(): () => void {
  setFlagsFromString('--no-opt');
  setFlagsFromString('--no-maglev');
  setFlagsFromString('--optimize-for-size');
  const collect = fullCollector();
  let after = getHeapStatistics().used_heap_size;
  return () => {
    if (getHeapStatistics().used_heap_size < after + GARBAGE_BYTES_MAX) return;
    collect();
    after = getHeapStatistics().used_heap_size;
  };
}
