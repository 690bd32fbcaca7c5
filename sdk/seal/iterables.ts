import type { Opener, OpenReport } from './opener.ts';
import type { Sealer } from './sealer.ts';

/** Bytes as they come: an array, a Node stream, a `ReadableStream` where it can be iterated. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** The sealed bytes of a source's content, with the sealer's errors and the source's own. */
export async function* sealAll(sealer: Sealer, content: ByteSource): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of content) yield* sealer.push(piece);
  yield* sealer.finish();
}

/**
 * The authentic plaintext of a sealed source; returns the report. Whoever stops iterating early, or meets an error, has
 * *not* got the whole file.
 */
export async function* openAll(opener: Opener, sealed: ByteSource): AsyncGenerator<Uint8Array, OpenReport, undefined> {
  for await (const piece of sealed) yield* opener.push(piece);
  const { released, report } = opener.finish();
  yield* released;
  return report;
}
