import { createHash } from 'node:crypto';
import type { WritePiece } from '../http/transport.ts';
import type { Source } from './source.ts';
import { PIECE_BYTES } from './source.ts';

/** Bytes in memory. The caller must not write to them until they are sent. */
export function bufferSource(bytes: Uint8Array): Source {
  let digest: string | null = null;
  return {
    sizeBytes: bytes.byteLength,
    replayable: true,
    whole: async () => bytes,
    async prepare(offsetBytes, bytesMax) {
      const left = bytes.byteLength - offsetBytes;
      return { bytes: bytesMax === null ? left : Math.min(left, bytesMax), sizeBytes: bytes.byteLength };
    },
    async send(offsetBytes, count, write: WritePiece) {
      const end = offsetBytes + count;
      for (let at = offsetBytes; at < end; at += PIECE_BYTES)
        await write(bytes.subarray(at, Math.min(end, at + PIECE_BYTES)));
    },
    changedTo: async () => null,
    async digest() {
      digest ??= createHash('sha256').update(bytes).digest('hex');
      return digest;
    },
    reopen: async () => {},
    close: async () => {},
  };
}
