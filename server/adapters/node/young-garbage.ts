import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes between two collections: about three times as much garbage. */
const EVERY_BYTES = 4 * 1_048_576;

type Collect = (options: { type: 'minor' }) => void;

let collect: Collect | null | undefined;
let bytesSince = 0;

/**
 * Counts bytes that are sealed or opened, and frees the buffers they left behind before those count as old.
 *
 * A file on its way leaves about three bytes of garbage for each of its own (the socket's or disk's buffer, the
 * ciphertext, the sealed segment), all of it outside of JavaScript's heap. V8 looks only at objects there to decide when its young ones are
 * collected, and they are few; so buffers are kept until 64 MiB of them have grown old, and a full collection has to
 * find them. A young collection every few mebibytes takes a fraction of a millisecond and keeps memory flat.
 */
export function bytesPassed(bytes: number): void {
  bytesSince += bytes;
  if (bytesSince < EVERY_BYTES) return;
  bytesSince = 0;
  if (collect === undefined) collect = collector();
  collect?.({ type: 'minor' });
}

/** V8's own collector, which Node shows only on request; null where this runtime has none. */
function collector(): Collect | null {
  try {
    setFlagsFromString('--expose-gc');
    return runInNewContext('gc') as Collect;
  } catch {
    return null;
  }
}
