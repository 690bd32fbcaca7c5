import type { WritePiece } from '../http/transport.ts';

/** Size of one read and one write: small enough that a 1 KB/s line still moves within the silence limit. */
export const PIECE_BYTES = 65_536;

/** Where the bytes of one upload come from. One reader at a time. */
export interface Source {
  /** Bytes; null while the end of a stream is not known. */
  readonly sizeBytes: number | null;
  /** Whether it can be read again from byte 0. */
  readonly replayable: boolean;
  /** All bytes as they are now, for sources small enough for one request; the same bytes until `reopen`. */
  whole(): Promise<Uint8Array>;
  /**
   * Ready at most `bytesMax` bytes (null: as many as it likes) from `offsetBytes`: how many there are and, where the
   * end was found, the size of the whole. Throws `source_rewound` when a stream cannot go back that far.
   */
  prepare(offsetBytes: number, bytesMax: number | null): Promise<{ bytes: number; sizeBytes: number | null }>;
  /** Write exactly the bytes readied. Throws `source_changed` when a file no longer has them. */
  send(offsetBytes: number, bytes: number, write: WritePiece): Promise<void>;
  /** The size now, if it is not what it was when opened (size, mtime, inode); else null. */
  changedTo(): Promise<number | null>;
  /** SHA-256 of all bytes, hex; each byte counts as it was first read. */
  digest(): Promise<string>;
  reopen(): Promise<void>;
  close(): Promise<void>;
}
