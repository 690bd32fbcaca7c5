import type { FileHandle } from 'node:fs/promises';
import type { BlobWriter } from '../../ports/blob-store.ts';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { asFault } from './faults.ts';

/** Bytes gathered for one write to the file: fewer, larger writes nearly double the throughput of 64 KiB ones. */
const WRITE_BYTES = 1024 * 1024;
/** Bytes held (gathered and being written) beyond which `write` makes its caller wait. */
const HELD_BYTES_MAX = 4 * 1024 * 1024;
/** Pieces of one vectored write; systems allow 1,024. More pieces than this are joined first. */
const PIECES_MAX = 512;

/**
 * Writes one file from `position` on. The first failed write breaks the writer for good: everything after it rejects
 * with the same fault, since bytes are missing in between, and the caller opens a new writer at its last `sync`.
 */
export class DiskWriter implements BlobWriter {
  readonly #file: FileHandle;
  /** The file's name being made to survive a power cut: begun at once, so that the flush overlaps with the first bytes. */
  #named: Promise<void> | null;
  #position: number;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #writingBytes = 0;
  #dirty: boolean;
  #writing: Promise<void> = Promise.resolve();
  #broken: { fault: unknown } | null = null;
  #room: (() => void)[] = [];
  #closing: Promise<void> | null = null;
  readonly #forget: (writer: DiskWriter) => void;

  constructor(
    file: FileHandle,
    options: {
      position: number;
      truncated: boolean;
      syncName: (() => Promise<void>) | null;
      forget: (writer: DiskWriter) => void;
    },
  ) {
    this.#file = file;
    this.#position = options.position;
    this.#dirty = options.truncated;
    this.#named = options.syncName?.() ?? null;
    // Told by `sync`, which waits for it; a writer that is abandoned before does not care.
    this.#named?.catch(() => undefined);
    this.#forget = options.forget;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#refuse();
    if (bytes.byteLength === 0) return;
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.byteLength;
    this.#dirty = true;
    if (this.#gatheredBytes >= WRITE_BYTES || this.#gathered.length >= PIECES_MAX) this.#flush();
    while (this.#gatheredBytes + this.#writingBytes > HELD_BYTES_MAX && this.#broken === null) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    this.#refuse();
  }

  async sync(): Promise<void> {
    this.#refuse();
    this.#flush();
    await this.#writing;
    this.#refuse();
    try {
      if (this.#dirty) {
        this.#dirty = false;
        await this.#file.datasync();
      }
      await this.#named;
      this.#named = null;
    } catch (error) {
      // After a failed flush the system may have dropped the pages: only a new writer from the last good offset is safe.
      this.#broken ??= { fault: asFault(error) };
      throw this.#broken.fault;
    }
  }

  async finish(): Promise<void> {
    try {
      await this.sync();
    } finally {
      await this.#close();
    }
  }

  async abandon(): Promise<void> {
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#broken ??= { fault: new StorageUnavailableError('blobs: the writer was abandoned or replaced') };
    for (const resume of this.#room.splice(0)) resume();
    await this.#close();
  }

  #refuse(): void {
    if (this.#broken !== null) throw this.#broken.fault;
    if (this.#closing !== null) throw new StorageUnavailableError('blobs: the writer is closed');
  }

  /** Hands what was gathered to the file, behind what is being written. */
  #flush(): void {
    if (this.#gatheredBytes === 0) return;
    const pieces = this.#gathered;
    const bytes = this.#gatheredBytes;
    const position = this.#position;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writingBytes += bytes;
    this.#position += bytes;
    this.#writing = this.#writing
      .then(() => (this.#broken === null ? this.#writeAll(pieces, position) : undefined))
      .catch((error: unknown) => {
        this.#broken ??= { fault: asFault(error) };
      })
      .then(() => {
        this.#writingBytes -= bytes;
        for (const resume of this.#room.splice(0)) resume();
      });
  }

  async #writeAll(pieces: Uint8Array[], position: number): Promise<void> {
    let rest = pieces;
    let at = position;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#file.writev(rest, at);
      at += bytesWritten;
      // A nearly full disk takes a part; the next attempt then tells the reason.
      rest = after(rest, bytesWritten);
    }
  }

  #close(): Promise<void> {
    this.#closing ??= this.#writing.then(async () => {
      this.#forget(this);
      try {
        await this.#file.close();
      } catch {
        // What was synced is safe, and nothing was promised about the rest.
      }
    });
    return this.#closing;
  }
}

/** What remains of the pieces behind their first `bytes` bytes. */
function after(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  let at = 0;
  while (at < pieces.length && skip >= (pieces[at] as Uint8Array).byteLength) {
    skip -= (pieces[at] as Uint8Array).byteLength;
    at++;
  }
  const rest = pieces.slice(at);
  if (skip > 0) rest[0] = (rest[0] as Uint8Array).subarray(skip);
  return rest;
}
