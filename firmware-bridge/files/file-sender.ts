import { open } from 'node:fs/promises';
import { FILE_HASH_BYTES, FILE_TABLE_HASHES, type FileManifest, type FileState, fileBlocks } from '#sdk/protocol';
import type { MadeManifest } from './make-manifest.ts';

export interface FilePart {
  /** SHA-256 of the bytes, hex: the last level of its topic. */
  hash: string;
  bytes: Buffer;
}

const TABLE_BYTES = FILE_TABLE_HASHES * FILE_HASH_BYTES;

/**
 * What a receiver that told this state is sent next: its missing tables, else missing blocks, at least one and up to
 * `windowBytes`. The file is read again each time; nothing of it is held.
 */
export async function* nextParts(
  path: string,
  { manifest, tables }: Pick<MadeManifest, 'manifest' | 'tables'>,
  state: FileState,
  windowBytes: number,
): AsyncGenerator<FilePart> {
  if (state.state !== 'receiving') return;
  let sentBytes = 0;
  for (const number of state.tables ?? []) {
    const hash = manifest.tables[number];
    const bytes = tables.subarray(number * TABLE_BYTES, (number + 1) * TABLE_BYTES);
    if (hash === undefined || sentBytes + bytes.length > Math.max(windowBytes, TABLE_BYTES)) return;
    sentBytes += bytes.length;
    yield { hash, bytes };
  }
  if (sentBytes > 0) return;
  const handle = await open(path, 'r');
  try {
    for (const block of missingBlocks(manifest, state)) {
      const length = Math.min(manifest.block, manifest.size - block * manifest.block);
      if (sentBytes > 0 && sentBytes + length > windowBytes) return;
      const bytes = Buffer.alloc(length);
      await handle.read(bytes, 0, length, block * manifest.block);
      sentBytes += length;
      const at = block * FILE_HASH_BYTES;
      yield { hash: tables.subarray(at, at + FILE_HASH_BYTES).toString('hex'), bytes };
    }
  } finally {
    await handle.close();
  }
}

/** The blocks whose bits are set. */
export function* missingBlocks(manifest: FileManifest, { from = 0, bits = '' }: FileState): Generator<number> {
  const bytes = Buffer.from(bits, 'base64');
  for (let i = 0; i < bytes.length * 8; i++) {
    const set = ((bytes[i >> 3] as number) >> (7 - (i & 7))) & 1;
    if (set === 1 && from + i < fileBlocks(manifest)) yield from + i;
  }
}
