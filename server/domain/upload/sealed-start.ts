import { SEALED_FILE_MAGIC } from '#sdk/protocol';

/**
 * Whether an upload is sealed end to end, told by its first eight bytes as they come, in pieces of any size. What the
 * sender says of it counts for nothing.
 */
export class SealedStart {
  #seen: number;
  #differs: boolean;

  /** `seen`: bytes of the file that came before, and whether they began as a sealed file does. */
  constructor(before: { seen: number; sealed: boolean } = { seen: 0, sealed: true }) {
    this.#seen = Math.min(before.seen, SEALED_FILE_MAGIC.length);
    this.#differs = this.#seen > 0 && !before.sealed;
  }

  /** Goes on from bytes that are kept: `start` are those of the file's first eight that are at hand. */
  static after(offset: number, start: Uint8Array, sealed: boolean): SealedStart {
    if (offset >= SEALED_FILE_MAGIC.length) return new SealedStart({ seen: offset, sealed });
    const begun = new SealedStart();
    begun.take(start.subarray(0, offset));
    return begun;
  }

  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && this.#seen < SEALED_FILE_MAGIC.length; at++, this.#seen++) {
      if (bytes[at] !== SEALED_FILE_MAGIC[this.#seen]) this.#differs = true;
    }
  }

  /** All eight bytes were those of a sealed file. */
  get sealed(): boolean {
    return !this.#differs && this.#seen === SEALED_FILE_MAGIC.length;
  }

  /** It can no longer become a sealed file. */
  get isNot(): boolean {
    return this.#differs;
  }
}
