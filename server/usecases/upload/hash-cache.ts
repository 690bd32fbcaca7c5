import type { UploadId } from '../../domain/ids.ts';
import type { Crypto } from '../../ports/crypto.ts';

type RunningHash = ReturnType<Crypto['hash']>;

/** More unfinished uploads than this at once only cost their digests a second reading. */
const ENTRIES_MAX = 1000;

/**
 * Running SHA-256 of unfinished resumable uploads, by the offset they stand at. A hash is taken out while it is used
 * and put back at the new offset: one that was fed bytes which did not become durable is simply not put back.
 */
export class HashCache {
  readonly #entries = new Map<UploadId, { offset: number; hash: RunningHash }>();

  take(id: UploadId, offset: number): RunningHash | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    this.#entries.delete(id);
    return entry.offset === offset ? entry.hash : null;
  }

  put(id: UploadId, offset: number, hash: RunningHash): void {
    const oldest = this.#entries.keys().next();
    if (this.#entries.size >= ENTRIES_MAX && !oldest.done) this.#entries.delete(oldest.value);
    this.#entries.set(id, { offset, hash });
  }
}
