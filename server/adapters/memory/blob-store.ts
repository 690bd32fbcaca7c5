import type { BlobStore, BlobWriter } from '../../ports/blob-store.ts';
import { BlobMissingError, StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';
import { checkBlobId, checkByteRange } from '../blob-ids.ts';

/** Small writes are gathered in blocks that grow to this, so that a blob is not millions of tiny arrays. */
const BLOCK_BYTES = 64 * 1024;
const BLOCK_BYTES_MIN = 1024;

interface Block {
  data: Uint8Array;
  usedBytes: number;
}

interface Blob {
  blocks: Block[];
  bytes: number;
  /** The writer that may write; an older one was replaced. */
  writer: object | null;
}

/**
 * Blobs in RAM, at most `bytesMax` in all; beyond that writing rejects with StorageFullError and the blob stays as long
 * as it was. Nothing here survives the process: `sync` promises what memory can, that the bytes can be read.
 */
export function createMemoryBlobs(options: { bytesMax: number }): BlobStore {
  return new MemoryBlobs(options.bytesMax);
}

class MemoryBlobs implements BlobStore {
  readonly #bytesMax: number;
  readonly #blobs = new Map<string, Blob>();
  #bytes = 0;
  #closed = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  async openWriter(id: string, options: { offset: number }): Promise<BlobWriter> {
    checkBlobId(id);
    checkByteRange(options);
    this.#refuseClosed();
    const blob: Blob = this.#blobs.get(id) ?? { blocks: [], bytes: 0, writer: null };
    if (blob.bytes < options.offset) throw missing(options.offset, this.#blobs.has(id) ? blob.bytes : null);
    this.#blobs.set(id, blob);
    this.#truncate(blob, options.offset);
    const writer = {};
    blob.writer = writer;
    return this.#writerOf(blob, writer);
  }

  #writerOf(blob: Blob, writer: object): BlobWriter {
    const refuse = () => {
      this.#refuseClosed();
      if (blob.writer !== writer) throw new StorageUnavailableError('blobs: the writer is closed');
    };
    return {
      write: async (bytes) => {
        refuse();
        if (this.#bytes + bytes.byteLength > this.#bytesMax) {
          throw new StorageFullError(`blobs: no room in memory (${this.#bytesMax} bytes in all)`);
        }
        append(blob, bytes);
        this.#bytes += bytes.byteLength;
      },
      sync: async () => refuse(),
      finish: async () => {
        refuse();
        blob.writer = null;
      },
      abandon: async () => {
        if (blob.writer === writer) blob.writer = null;
      },
    };
  }

  async *read(id: string, options: { offset: number; length: number }): AsyncGenerator<Uint8Array> {
    checkBlobId(id);
    checkByteRange(options);
    this.#refuseClosed();
    const blob = this.#blobs.get(id);
    const end = options.offset + options.length;
    if (blob === undefined || blob.bytes < end) throw missing(end, blob?.bytes ?? null);
    // A blob deleted while it is read keeps its blocks until the reader is done, like an open file.
    const blocks = [...blob.blocks];
    let from = 0;
    for (const { data, usedBytes } of blocks) {
      const start = Math.max(options.offset - from, 0);
      const stop = Math.min(end - from, usedBytes);
      if (start < stop) yield data.slice(start, stop);
      from += usedBytes;
      if (from >= end) return;
    }
  }

  async size(id: string): Promise<number | null> {
    checkBlobId(id);
    this.#refuseClosed();
    return this.#blobs.get(id)?.bytes ?? null;
  }

  async delete(id: string): Promise<void> {
    checkBlobId(id);
    this.#refuseClosed();
    const blob = this.#blobs.get(id);
    if (blob === undefined) return;
    this.#blobs.delete(id);
    this.#bytes -= blob.bytes;
    blob.writer = null;
  }

  async *list(): AsyncGenerator<string> {
    this.#refuseClosed();
    yield* [...this.#blobs.keys()];
  }

  async check(): Promise<void> {
    this.#refuseClosed();
    if (this.#bytes >= this.#bytesMax)
      throw new StorageFullError(`blobs: no room in memory (${this.#bytesMax} bytes in all)`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#blobs.clear();
    this.#bytes = 0;
  }

  #refuseClosed(): void {
    if (this.#closed) throw new StorageUnavailableError('blobs: the store was closed');
  }

  #truncate(blob: Blob, bytes: number): void {
    this.#bytes -= blob.bytes - bytes;
    while (blob.bytes > bytes) {
      const last = blob.blocks.at(-1) as Block;
      const cut = Math.min(last.usedBytes, blob.bytes - bytes);
      last.usedBytes -= cut;
      blob.bytes -= cut;
      if (last.usedBytes === 0) blob.blocks.pop();
    }
  }
}

function append(blob: Blob, bytes: Uint8Array): void {
  if (bytes.byteLength === 0) return;
  blob.bytes += bytes.byteLength;
  const last = blob.blocks.at(-1);
  const together = (last?.usedBytes ?? 0) + bytes.byteLength;
  if (last !== undefined && together <= BLOCK_BYTES) {
    if (together > last.data.byteLength) grow(last, together);
    last.data.set(bytes, last.usedBytes);
    last.usedBytes = together;
    return;
  }
  // The caller gave the bytes away, but they may be a small part of a large buffer, which must not be kept for it.
  const data = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
  blob.blocks.push({ data, usedBytes: data.byteLength });
}

function grow(block: Block, neededBytes: number): void {
  const doubled = Math.max(block.data.byteLength * 2, BLOCK_BYTES_MIN, neededBytes);
  const data = new Uint8Array(Math.min(doubled, BLOCK_BYTES));
  data.set(block.data.subarray(0, block.usedBytes));
  block.data = data;
}

function missing(expectedBytes: number, foundBytes: number | null): BlobMissingError {
  const found = foundBytes === null ? 'no blob' : `${foundBytes}`;
  return new BlobMissingError(`blobs: expected at least ${expectedBytes} stored bytes, came ${found}`);
}
