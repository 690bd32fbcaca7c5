import { randomBytes } from 'node:crypto';
import type { BlobStore, BlobWriter } from '../../ports/blob-store.ts';
import { BlobMissingError, StorageUnavailableError } from '../../ports/faults.ts';
import { checkBlobId, checkByteRange } from '../blob-ids.ts';
import {
  blobOf,
  cutPieces,
  decodeManifest,
  type Generation,
  generationOf,
  manifestBytes,
  manifestName,
  newestFirst,
  type Piece,
  type StoredManifest,
} from './manifest.ts';
import { S3Objects, type S3Options } from './objects.ts';
import { S3Writer } from './writer.ts';

export { parseS3Location } from './location.ts';
export type { S3Options } from './objects.ts';

/** Bytes of one ranged read, held whole so that it can be repeated; one more is read ahead. */
const READ_BYTES = 2 * 1024 * 1024;
/** Manifests of replaced writers that are kept: more than nodes could ever race for one blob. */
const GENERATIONS_KEPT = 16;
/** Written by `check`; no blob's key, since it has no slash. */
const CHECK_KEY = 'fuselink-check';

/**
 * Blobs in a bucket of any S3-compatible store with read-after-write consistency (all current ones). manifest.ts tells
 * how they lie there. Nothing is contacted before the first use; `check` tells whether it can be written.
 */
export function openS3Blobs(options: S3Options): BlobStore {
  return new S3Blobs(new S3Objects(options));
}

class S3Blobs implements BlobStore {
  readonly #objects: S3Objects;
  /** Writers of this process, to be cut off by newer ones; those of other processes cannot harm (manifest.ts). */
  readonly #writers = new Map<string, S3Writer>();
  #closed = false;

  constructor(objects: S3Objects) {
    this.#objects = objects;
  }

  async openWriter(id: string, options: { offset: number }): Promise<BlobWriter> {
    checkBlobId(id);
    checkByteRange(options);
    this.#refuseClosed();
    await this.#writers.get(id)?.abandon();
    const generations = await this.#generations(id);
    const pieces = options.offset === 0 ? [] : await this.#piecesBefore(id, generations, options.offset);
    const generation = { number: (generations[0]?.number ?? 0) + 1, writer: randomBytes(12).toString('base64url') };
    const forget = (ended: S3Writer) => void (this.#writers.get(id) === ended && this.#writers.delete(id));
    const writer = new S3Writer(this.#objects, { id, generation, pieces, forget });
    const older = this.#writers.get(id);
    this.#writers.set(id, writer);
    await older?.abandon();
    // From here on the blob is listed, so that a sweep finds whatever a crash leaves of it.
    await writer.putManifest(false);
    await this.#objects.delete(generations.slice(GENERATIONS_KEPT).map((old) => `${id}/${manifestName(old)}`));
    return writer;
  }

  /** The pieces of the newest generation that synced at least `bytes` bytes, cut to those. */
  async #piecesBefore(id: string, generations: readonly Generation[], bytes: number): Promise<Piece[]> {
    let longest: number | null = null;
    for await (const { manifest } of this.#manifests(id, generations)) {
      const found = manifestBytes(manifest);
      if (found >= bytes) return cutPieces(manifest.pieces, bytes);
      longest = Math.max(longest ?? 0, found);
    }
    throw missing(bytes, longest);
  }

  async *read(id: string, options: { offset: number; length: number }): AsyncGenerator<Uint8Array> {
    checkBlobId(id);
    checkByteRange(options);
    this.#refuseClosed();
    const end = options.offset + options.length;
    const manifest = await this.#manifestToRead(id, end);
    const ranges = rangesOf(manifest.pieces, { offset: options.offset, end });
    let ahead = this.#getNext(id, ranges);
    for (;;) {
      const bytes = await ahead;
      if (bytes === null) return;
      ahead = this.#getNext(id, ranges);
      // If the caller stops here, what is read ahead may fail with nobody waiting.
      ahead.catch(() => undefined);
      yield bytes;
    }
  }

  async #getNext(id: string, ranges: Iterator<PieceRange>): Promise<Uint8Array | null> {
    const next = ranges.next();
    if (next.done === true) return null;
    const { name, from, to } = next.value;
    const bytes = await this.#objects.get(`${id}/${name}`, { from, to });
    if (bytes === null)
      throw new BlobMissingError('blobs: expected a piece of the blob in the object store, came none');
    return bytes;
  }

  /** The finished generation, or else the newest, that has `end` bytes. */
  async #manifestToRead(id: string, end: number): Promise<StoredManifest['manifest']> {
    let unfinished: StoredManifest | null = null;
    let longest: number | null = null;
    for await (const stored of this.#manifests(id, await this.#generations(id))) {
      const bytes = manifestBytes(stored.manifest);
      longest = Math.max(longest ?? 0, bytes);
      if (stored.manifest.finished) {
        if (bytes >= end) return stored.manifest;
        // A finished blob that is shorter, unless a newer, longer one is being written.
        break;
      }
      if (bytes >= end) unfinished ??= stored;
    }
    if (unfinished === null) throw missing(end, longest);
    return unfinished.manifest;
  }

  async size(id: string): Promise<number | null> {
    checkBlobId(id);
    this.#refuseClosed();
    let newest: number | null = null;
    for await (const { manifest } of this.#manifests(id, await this.#generations(id))) {
      if (manifest.finished) return manifestBytes(manifest);
      newest ??= manifestBytes(manifest);
    }
    return newest;
  }

  async delete(id: string): Promise<void> {
    checkBlobId(id);
    this.#refuseClosed();
    await this.#writers.get(id)?.abandon();
    const keys: string[] = [];
    for await (const key of this.#objects.list(`${id}/`)) if (blobOf(key) === id) keys.push(key);
    // Manifests first ("m" sorts before "p"): a deletion that is cut short leaves nothing that could still be read.
    const manifests = keys.filter((key) => generationOf(key.slice(id.length + 1)) !== null);
    await this.#objects.delete(manifests);
    await this.#objects.delete(keys.filter((key) => !manifests.includes(key)));
    for (const { key, uploadId } of await this.#objects.unjoined(`${id}/`))
      await this.#objects.dropParts(key, uploadId);
  }

  async *list(): AsyncGenerator<string> {
    this.#refuseClosed();
    let last: string | null = null;
    for await (const key of this.#objects.list('')) {
      const id = blobOf(key);
      // Keys come in order, so one blob's are next to each other.
      if (id === null || id === last) continue;
      last = id;
      yield id;
    }
  }

  async check(): Promise<void> {
    this.#refuseClosed();
    await this.#objects.put(CHECK_KEY, new Uint8Array([1]));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([...this.#writers.values()].map((writer) => writer.abandon()));
    this.#objects.close();
  }

  #refuseClosed(): void {
    if (this.#closed) throw new StorageUnavailableError('blobs: the store was closed');
  }

  async #generations(id: string): Promise<Generation[]> {
    const found: Generation[] = [];
    for await (const key of this.#objects.list(`${id}/m-`)) {
      const generation = generationOf(key.slice(id.length + 1));
      if (generation !== null) found.push(generation);
    }
    return found.sort(newestFirst);
  }

  /** Manifests in the order of the generations; those deleted meanwhile are left out. */
  async *#manifests(id: string, generations: readonly Generation[]): AsyncGenerator<StoredManifest> {
    for (const generation of generations) {
      const bytes = await this.#objects.get(`${id}/${manifestName(generation)}`);
      if (bytes !== null) yield { generation, manifest: decodeManifest(bytes) };
    }
  }
}

interface PieceRange {
  name: string;
  from: number;
  to: number;
}

/** The reads that bring bytes `[offset, end)` of the joined pieces. */
function* rangesOf(pieces: readonly Piece[], range: { offset: number; end: number }): Generator<PieceRange> {
  let start = 0;
  for (const { name, bytes } of pieces) {
    const to = Math.min(bytes, range.end - start);
    for (let from = Math.max(0, range.offset - start); from < to; from += READ_BYTES) {
      yield { name, from, to: Math.min(from + READ_BYTES, to) };
    }
    start += bytes;
  }
}

function missing(expectedBytes: number, foundBytes: number | null): BlobMissingError {
  const found = foundBytes === null ? 'no blob' : `${foundBytes}`;
  return new BlobMissingError(`blobs: expected at least ${expectedBytes} stored bytes, came ${found}`);
}
