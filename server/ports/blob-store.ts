/**
 * Where sealed bytes too large for the metadata store live. It sees ciphertext only. Faults reject with
 * StorageFullError or StorageUnavailableError (ports/faults.ts), and leave nothing half-done that `delete` or the
 * next `openWriter` would not clean. One contract suite, `blob-store.contract.ts`, runs against every adapter.
 */
export interface BlobStore {
  /**
   * Starts or continues writing, also a blob that was finished. Bytes beyond `offset` (never acknowledged as durable)
   * are discarded; where fewer were synced than `offset` it rejects with BlobMissingError. A blob has one writer: an
   * older one that is still at work is cut off, so that it cannot harm what the newer one writes, and rejects.
   */
  openWriter(id: string, options: { offset: number }): Promise<BlobWriter>;
  /**
   * Bytes `[offset, offset + length)` of what was synced, in pieces of any size; each piece is the caller's to keep.
   * Rejects with BlobMissingError where there are fewer.
   */
  read(id: string, options: { offset: number; length: number }): AsyncIterable<Uint8Array>;
  /** Durably stored bytes, or null where there is no such blob. */
  size(id: string): Promise<number | null>;
  /** Deletes; deleting what is not there is fine. */
  delete(id: string): Promise<void>;
  /** Every id there is, in any order, for the sweep. */
  list(): AsyncIterable<string>;
  /** Resolves if the store can be written now; rejects with the fault otherwise. */
  check(): Promise<void>;
  close(): Promise<void>;
}

export interface BlobWriter {
  /** Takes ownership of `bytes`. Resolves when the writer is ready for more (backpressure), not when they are durable. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when every byte written so far survives a power cut. */
  sync(): Promise<void>;
  /** `sync`, then ends the blob and lets go of it. */
  finish(): Promise<void>;
  /** Lets go of the blob without a promise about bytes since the last `sync`. Never rejects. */
  abandon(): Promise<void>;
}
