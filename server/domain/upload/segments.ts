/** A segment at rest is `nonce (12) ‖ ciphertext ‖ tag (16)`. */
export const SEGMENT_NONCE_BYTES = 12;
export const SEGMENT_TAG_BYTES = 16;
export const SEGMENT_OVERHEAD_BYTES = SEGMENT_NONCE_BYTES + SEGMENT_TAG_BYTES;

const SEGMENT_BYTES_SMALL = 65_536;
const SEGMENT_BYTES_LARGE = 1_048_576;
/** From this size on the fixed cost of a segment counts for more than the granularity of Range. */
const LARGE_FROM_BYTES = 8 * 1_048_576;

/** Plaintext bytes a segment holds, chosen once for a transfer from what is known of its size. */
export function segmentBytesFor(expectedBytes: number | null): number {
  return expectedBytes === null || expectedBytes >= LARGE_FROM_BYTES ? SEGMENT_BYTES_LARGE : SEGMENT_BYTES_SMALL;
}

/** Segments of a file of `size` bytes: an empty file still has one, so that its emptiness is authenticated. */
export function segmentCount(size: number, segmentBytes: number): number {
  return Math.max(1, Math.ceil(size / segmentBytes));
}

/** Bytes at rest of a whole file. */
export function sealedBytes(size: number, segmentBytes: number): number {
  return size + segmentCount(size, segmentBytes) * SEGMENT_OVERHEAD_BYTES;
}

/** Where segment `index` begins at rest. */
export function segmentPosition(index: number, segmentBytes: number): number {
  return index * (segmentBytes + SEGMENT_OVERHEAD_BYTES);
}

/** How a segment stands in its file; part of what is authenticated, so that none can pass for another. */
export type SegmentFlag = 'inner' | 'last' | 'tail';
const FLAG_BYTES: Record<SegmentFlag, number> = { inner: 0, last: 1, tail: 2 };

/** AAD of a segment: `id (32) ‖ index (8, big-endian) ‖ flag (1)`. `tail` is the partial end of an unfinished upload. */
export function segmentAad(idBytes: Uint8Array, index: number, flag: SegmentFlag): Uint8Array {
  const aad = new Uint8Array(idBytes.length + 9);
  aad.set(idBytes);
  const view = new DataView(aad.buffer);
  view.setUint32(idBytes.length, Math.floor(index / 4294967296));
  view.setUint32(idBytes.length + 4, index >>> 0);
  aad[idBytes.length + 8] = FLAG_BYTES[flag];
  return aad;
}
