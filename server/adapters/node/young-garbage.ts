import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes between two young collections: about three times as much garbage. */
const EVERY_BYTES = 4 * 1_048_576;
/** Buffers may outgrow what the last full collection left by this much; then they are taken for old garbage. */
const OLD_BYTES_MAX = 24 * 1_048_576;

/** V8's collectors, and what all buffers outside of its heap come to. */
export interface Heap {
  collect(type: 'minor' | 'major'): void;
  bufferBytes(): number;
}

/**
 * Counts bytes that are sealed or opened, and frees the buffers they left behind.
 *
 * A file on its way leaves about three bytes of garbage for each of its own (the socket's or disk's buffer, the
 * ciphertext, the sealed segment), all of it outside of JavaScript's heap. V8 looks only at objects there to decide when
 * its young ones are collected, and they are few; so buffers are kept until 64 MiB of them have grown old. A young
 * collection every few mebibytes takes a fraction of a millisecond and keeps memory flat. What lay in a queue through
 * two of those (a slow disk, a busy machine) has grown old by then, and only a full collection finds it: some
 * milliseconds, which 24 MiB of such buffers are worth.
 */
export function collectByBytes(heap: Heap): (bytes: number) => void {
  let bytesSince = 0;
  let floorBytes = Number.POSITIVE_INFINITY;
  return (bytes) => {
    bytesSince += bytes;
    if (bytesSince < EVERY_BYTES) return;
    bytesSince = 0;
    heap.collect('minor');
    const held = heap.bufferBytes();
    floorBytes = Math.min(floorBytes, held);
    if (held - floorBytes < OLD_BYTES_MAX) return;
    heap.collect('major');
    floorBytes = heap.bufferBytes();
  };
}

/** V8's own collectors, which Node shows only on request; null where this runtime has none. */
function v8Heap(): Heap | null {
  try {
    setFlagsFromString('--expose-gc');
    // Buffers are given back by the collection itself: on a busy machine the thread that would do it comes late.
    setFlagsFromString('--no-concurrent-array-buffer-sweeping');
    const gc = runInNewContext('gc') as (options: { type: 'minor' | 'major' }) => void;
    return { collect: (type) => gc({ type }), bufferBytes: () => process.memoryUsage().arrayBuffers };
  } catch {
    return null;
  }
}

/**
 * Keeps V8's young generation as small as it is after a start; called once, when the program has been loaded.
 *
 * It grows to 32 MiB by and by, whatever for: requests leave little behind that lives. A small one is collected more
 * often, and so are the buffers that only its objects hold.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

let passed: ((bytes: number) => void) | undefined;

/** Tells of bytes sealed or opened in this process. */
export function bytesPassed(bytes: number): void {
  if (passed === undefined) {
    const heap = v8Heap();
    passed = heap === null ? () => {} : collectByBytes(heap);
  }
  passed(bytes);
}
