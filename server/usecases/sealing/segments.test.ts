import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../adapters/node/crypto.ts';
import { nodeRandom } from '../../adapters/node/random.ts';
import { SEGMENT_OVERHEAD_BYTES, sealedBytes, segmentCount, segmentPosition } from '../../domain/upload/segments.ts';
import { linkSecrets } from './link.ts';
import { openSegment, readSegments, SealBrokenError } from './segment-reader.ts';
import { SegmentWriter } from './segment-writer.ts';

const secrets = linkSecrets(nodeCrypto, new Uint8Array(32).fill(7));
const writerAt = (segmentBytes: number, index = 0, begun?: Uint8Array) =>
  new SegmentWriter({
    crypto: nodeCrypto,
    random: nodeRandom,
    secrets,
    segmentBytes,
    index,
    ...(begun === undefined ? {} : { begun }),
  });

/** Seals `plain` as it comes in pieces of the given sizes, over and over. */
function sealed(plain: Uint8Array, segmentBytes: number, pieces: readonly number[]): Buffer {
  const writer = writerAt(segmentBytes);
  const out: Uint8Array[] = [];
  for (let at = 0, i = 0; at < plain.length; i++) {
    const size = Math.max(1, pieces[i % pieces.length] ?? 1);
    out.push(...writer.push(plain.subarray(at, at + size)).map((bytes) => Uint8Array.from(bytes)));
    at += size;
  }
  out.push(...writer.finish());
  return Buffer.concat(out);
}

async function opened(
  stored: Uint8Array,
  range: { size: number; segmentBytes: number; from: number; to: number },
  pieceBytes = 1_000,
  with_ = secrets,
): Promise<Buffer> {
  const out: Uint8Array[] = [];
  async function* read(offset: number, length: number): AsyncGenerator<Uint8Array> {
    const part = stored.subarray(offset, offset + length);
    for (let at = 0; at < part.length; at += pieceBytes) yield part.subarray(at, at + pieceBytes);
  }
  for await (const piece of readSegments(nodeCrypto, with_, { ...range, read })) out.push(Uint8Array.from(piece));
  return Buffer.concat(out);
}

const plainOf = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);

describe('segments', () => {
  it('property: any size, segment size, pieces and range → the same bytes, and the length at rest is as computed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(600),
        fc.integer({ min: 1, max: 200 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 }),
        fc.tuple(fc.nat(600), fc.nat(600)),
        fc.integer({ min: 1, max: 300 }),
        async (size, segmentBytes, pieces, [a, b], readBytes) => {
          const plain = plainOf(size);
          const stored = sealed(plain, segmentBytes, pieces);
          expect(stored.length).toBe(sealedBytes(size, segmentBytes));
          const [from, to] = [Math.min(a, b, size), Math.min(Math.max(a, b), size)];
          const whole = await opened(stored, { size, segmentBytes, from: 0, to: size }, readBytes);
          expect(Buffer.compare(whole, plain)).toBe(0);
          const part = await opened(stored, { size, segmentBytes, from, to }, readBytes);
          expect(Buffer.compare(part, plain.subarray(from, to))).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('property: left with a tail and gone on with anywhere → the same bytes as in one go', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 600 }),
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 }),
        async (size, segmentBytes, cuts) => {
          const plain = plainOf(size);
          const stored = Buffer.alloc(sealedBytes(size, segmentBytes));
          let offset = 0;
          let tail: Uint8Array | null = null;
          for (let i = 0; offset < size; i++) {
            const index: number = tail === null ? offset / segmentBytes : Math.ceil(offset / segmentBytes) - 1;
            const begun: Uint8Array | undefined =
              tail === null ? undefined : openSegment(nodeCrypto, secrets, { index, flag: 'tail', sealed: tail });
            const writer = writerAt(segmentBytes, index, begun);
            let at = segmentPosition(index, segmentBytes);
            const put = (pieces: readonly Uint8Array[]) => {
              for (const piece of pieces) {
                stored.set(piece, at);
                at += piece.length;
              }
            };
            const chunk = plain.subarray(offset, offset + (cuts[i % cuts.length] ?? 1));
            put(writer.push(chunk));
            offset += chunk.length;
            if (offset === size) put(writer.finish());
            else tail = writer.tail();
          }
          const whole = await opened(stored, { size, segmentBytes, from: 0, to: size });
          expect(Buffer.compare(whole, plain)).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('an empty file → one authenticated segment', async () => {
    const stored = sealed(new Uint8Array(0), 64, [1]);
    expect([stored.length, segmentCount(0, 64)]).toEqual([SEGMENT_OVERHEAD_BYTES, 1]);
    expect(await opened(stored, { size: 0, segmentBytes: 64, from: 0, to: 0 })).toHaveLength(0);
    stored[3] = (stored[3] ?? 0) ^ 1;
    await expect(opened(stored, { size: 0, segmentBytes: 64, from: 0, to: 0 })).rejects.toBeInstanceOf(SealBrokenError);
  });

  const size = 300;
  const range = { size, segmentBytes: 100, from: 0, to: size };
  const wide = 100 + SEGMENT_OVERHEAD_BYTES;
  const damages: [name: string, damage: (bytes: Buffer) => Buffer][] = [
    ['a bit of the ciphertext', (bytes) => flip(bytes, 40)],
    ['a bit of a nonce', (bytes) => flip(bytes, wide)],
    ['a bit of a tag', (bytes) => flip(bytes, wide - 1)],
    [
      'two segments exchanged',
      (bytes) => Buffer.concat([bytes.subarray(wide, 2 * wide), bytes.subarray(0, wide), bytes.subarray(2 * wide)]),
    ],
    [
      'a segment twice',
      (bytes) => Buffer.concat([bytes.subarray(0, wide), bytes.subarray(0, wide), bytes.subarray(2 * wide)]),
    ],
    ['the last segment missing', (bytes) => bytes.subarray(0, 2 * wide)],
    ['the last byte missing', (bytes) => bytes.subarray(0, -1)],
    ['nothing there', () => Buffer.alloc(0)],
  ];
  it.each(damages)('%s → SealBrokenError, and no byte of the damaged segment is given', async (_name, damage) => {
    const stored = damage(sealed(plainOf(size), 100, [33]));
    await expect(opened(stored, range)).rejects.toBeInstanceOf(SealBrokenError);
  });

  it('cut at a border and passed off as a smaller file → refused: the end is authenticated', async () => {
    const stored = sealed(plainOf(size), 100, [33]).subarray(0, 2 * wide);
    await expect(opened(stored, { ...range, size: 200, to: 200 })).rejects.toBeInstanceOf(SealBrokenError);
  });

  it('a tail passed off as a last segment, or opened under another link → refused', async () => {
    const writer = writerAt(100);
    writer.push(plainOf(50));
    const tail = writer.tail() ?? new Uint8Array(0);
    await expect(opened(tail, { size: 50, segmentBytes: 100, from: 0, to: 50 })).rejects.toBeInstanceOf(
      SealBrokenError,
    );
    const other = linkSecrets(nodeCrypto, new Uint8Array(32).fill(8));
    const stored = sealed(plainOf(size), 100, [33]);
    await expect(opened(stored, range, 1_000, other)).rejects.toBeInstanceOf(SealBrokenError);
  });

  it('the same bytes sealed twice → never the same nonce or ciphertext', () => {
    const [a, b] = [sealed(plainOf(50), 100, [50]), sealed(plainOf(50), 100, [50])];
    expect(a.equals(b)).toBe(false);
    expect(a.subarray(0, 12).equals(b.subarray(0, 12))).toBe(false);
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const out = Buffer.from(bytes);
  out[at] = (out[at] ?? 0) ^ 1;
  return out;
}
