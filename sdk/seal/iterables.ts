import type { Opener } from './opener.ts';
import type { OpenReport } from './opening.ts';
import type { Sealer } from './sealer.ts';
import type { SubtleOpener } from './subtle-opener.ts';

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
export async function* openAll(
  opener: Opener | SubtleOpener,
  sealed: ByteSource,
): AsyncGenerator<Uint8Array, OpenReport, undefined> {
  for await (const piece of sealed) yield* await opener.push(piece);
  const { released, report } = await opener.finish();
  yield* released;
  return report;
}
