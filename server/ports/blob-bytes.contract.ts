import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { BlobStore } from './blob-store.ts';

/** Bytes that differ at every position and between blobs. */
export function pattern(count: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(count);
  let state = seed >>> 0 || 1;
  for (let at = 0; at < count; at++) {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** All of a range as one array. */
export async function readAll(
  store: BlobStore,
  id: string,
  range: { offset: number; length: number },
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.read(id, range)) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

export async function writeBlob(store: BlobStore, id: string, bytes: Uint8Array): Promise<void> {
  const writer = await store.openWriter(id, { offset: 0 });
  await writer.write(bytes.slice());
  await writer.finish();
}

export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export type HistoryStep =
  | { kind: 'write'; bytes: number }
  | { kind: 'sync' }
  | { kind: 'abandon' | 'replace' | string; back: number };

/** Follows the steps on the store and on an array, then finishes and compares. */
export async function followHistory(store: BlobStore, id: string, steps: readonly HistoryStep[]): Promise<void> {
  let written: Uint8Array = new Uint8Array(0);
  let syncedBytes = 0;
  let seed = 1;
  let writer = await store.openWriter(id, { offset: 0 });
  for (const step of steps) {
    if ('bytes' in step) {
      const bytes = pattern(step.bytes, seed++);
      written = new Uint8Array(Buffer.concat([written, bytes]));
      await writer.write(bytes);
    } else if ('back' in step) {
      if (step.kind === 'abandon') await writer.abandon();
      const offset = Math.floor(syncedBytes * step.back);
      writer = await store.openWriter(id, { offset });
      written = written.slice(0, offset);
      syncedBytes = offset;
    } else {
      await writer.sync();
      syncedBytes = written.byteLength;
    }
  }
  await writer.finish();
  expect(await store.size(id)).toBe(written.byteLength);
  expect(digest(await readAll(store, id, { offset: 0, length: written.byteLength }))).toBe(digest(written));
  await store.delete(id);
}
