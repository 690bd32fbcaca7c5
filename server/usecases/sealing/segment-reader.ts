import { concatBytes } from '../../domain/bytes.ts';
import {
  SEGMENT_NONCE_BYTES,
  SEGMENT_OVERHEAD_BYTES,
  type SegmentFlag,
  segmentAad,
  segmentCount,
  segmentPosition,
} from '../../domain/upload/segments.ts';
import type { Crypto } from '../../ports/crypto.ts';
import type { LinkSecrets } from './link.ts';

/** The bytes at rest do not open under the link's key: altered, cut or mixed up. Nothing of the segment is released. */
export class SealBrokenError extends Error {
  override name = 'SealBrokenError';
}

/** Opens one segment as it stands at rest; throws SealBrokenError. */
export function openSegment(
  crypto: Crypto,
  secrets: LinkSecrets,
  segment: { index: number; flag: SegmentFlag; sealed: Uint8Array },
): Uint8Array {
  const nonce = segment.sealed.subarray(0, SEGMENT_NONCE_BYTES);
  const aad = segmentAad(secrets.idBytes, segment.index, segment.flag);
  const sealed = segment.sealed.subarray(SEGMENT_NONCE_BYTES);
  const plaintext = sealed.length < 16 ? null : crypto.open({ key: secrets.key, nonce, aad, sealed });
  if (plaintext === null) throw new SealBrokenError(`segment ${segment.index} of a transfer does not open`);
  return plaintext;
}

export interface SegmentRange {
  size: number;
  segmentBytes: number;
  from: number;
  /** Exclusive. */
  to: number;
  /** Reads the bytes at rest `[offset, offset + length)`. */
  read(offset: number, length: number): AsyncIterable<Uint8Array>;
}

/** Plaintext `[from, to)`, segment by segment; each is authenticated before any of it is yielded. */
export async function* readSegments(
  crypto: Crypto,
  secrets: LinkSecrets,
  range: SegmentRange,
): AsyncGenerator<Uint8Array, void, void> {
  const { size, segmentBytes, from, to } = range;
  const last = segmentCount(size, segmentBytes) - 1;
  const firstIndex = Math.min(last, Math.floor(from / segmentBytes));
  const lastIndex = to <= from ? firstIndex : Math.floor((to - 1) / segmentBytes);
  const sealedEnd = Math.min(size, (lastIndex + 1) * segmentBytes) + (lastIndex + 1) * SEGMENT_OVERHEAD_BYTES;
  const position = segmentPosition(firstIndex, segmentBytes);

  let index = firstIndex;
  let parts: Uint8Array[] = [];
  let held = 0;
  const needed = (i: number) => Math.min(segmentBytes, size - i * segmentBytes) + SEGMENT_OVERHEAD_BYTES;

  for await (let piece of range.read(position, sealedEnd - position)) {
    while (piece.length > 0) {
      const take = Math.min(needed(index) - held, piece.length);
      parts.push(piece.subarray(0, take));
      held += take;
      piece = piece.subarray(take);
      if (held < needed(index)) continue;
      const plain = openSegment(crypto, secrets, {
        index,
        flag: index === last ? 'last' : 'inner',
        sealed: concatBytes(parts),
      });
      const start = index * segmentBytes;
      yield plain.subarray(Math.max(0, from - start), Math.min(plain.length, to - start));
      index++;
      parts = [];
      held = 0;
    }
  }
  if (index <= lastIndex) throw new SealBrokenError(`a transfer ends within segment ${index} of ${last + 1}`);
}
