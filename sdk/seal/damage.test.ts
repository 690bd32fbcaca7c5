import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from './bytes.ts';
import { SealError, type SealErrorCode } from './errors.ts';
import { createOpener } from './opener.ts';
import { CRYPTOS, contentKeyOf, KEYS, openPieces, sealWhole, TO_LINK, TO_OPS, testContent } from './seal.testkit.ts';

const LINK_HEADER = 75;
const CHUNK = 65_552;
const KEY = { contentKey: contentKeyOf('seal') };

/** Whether what came out before an error is a part of the content from its start: nothing else may ever come out. */
function isPrefix(released: Uint8Array, content: Uint8Array): boolean {
  return Buffer.compare(released, content.subarray(0, released.length)) === 0;
}

describe.each(CRYPTOS)('damage, opened by $name', (crypto) => {
  it('every bit of a small file to its link, flipped → a typed error, nothing released', () => {
    const content = testContent(40);
    const sealed = sealWhole(content, { to: TO_LINK, contentBytes: 40, name: 'n' });
    const codes = new Set<SealErrorCode>();
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const flipped = sealed.slice();
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      const outcome = openPieces([flipped], KEY, crypto);
      expect({ bit, damaged: outcome.code !== null, released: outcome.released.length }).toEqual({
        bit,
        damaged: true,
        released: 0,
      });
      codes.add(outcome.code!);
    }
    expect([...codes].sort()).toEqual([
      'chunk_not_authentic',
      'header_malformed',
      'header_not_authentic',
      'not_sealed',
      'version_unknown',
    ]);
  });

  it('every length a small file can be cut to → a typed error, nothing released', () => {
    const sealed = sealWhole(testContent(40), { to: TO_LINK, contentBytes: 40, signer: KEYS.pump });
    for (let length = 0; length < sealed.length; length++) {
      const outcome = openPieces([sealed.subarray(0, length)], KEY, crypto);
      expect({ length, damaged: outcome.code !== null, released: outcome.released.length }).toEqual({
        length,
        damaged: true,
        released: 0,
      });
    }
  });

  it.each([1, 16, 17, 300, CHUNK])('%i bytes appended → a typed error', (count) => {
    for (const size of [40, 65_536 - 256, 70_000]) {
      const sealed = sealWhole(testContent(size), { to: TO_LINK, contentBytes: size });
      for (const tail of [new Uint8Array(count), sealed.slice(0, count), sealed.slice(-count)]) {
        const outcome = openPieces([sealed, tail], KEY, crypto);
        expect(['trailing_bytes', 'chunk_not_authentic']).toContain(outcome.code);
        expect(isPrefix(outcome.released, testContent(size))).toBe(true);
      }
    }
  });

  it('whole chunks moved, repeated, left out, taken from another file → a typed error at that chunk', () => {
    const size = 4 * 65_536;
    const content = testContent(size);
    for (const announced of [size, null]) {
      const sealed = sealWhole(content, { to: TO_LINK, contentBytes: announced });
      const foreign = sealWhole(content, { to: TO_LINK, contentBytes: announced }, 'other');
      const head = sealed.subarray(0, LINK_HEADER);
      const part = (file: Uint8Array, index: number) =>
        file.subarray(LINK_HEADER + index * CHUNK, LINK_HEADER + (index + 1) * CHUNK);
      const [a, b, c, d, e] = [0, 1, 2, 3, 4].map((index) => part(sealed, index)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      expect(e.length).toBeLessThan(CHUNK);
      const cases: readonly [string, readonly Uint8Array[], SealErrorCode, number][] = [
        ['swapped', [a, c, b, d, e], 'chunk_not_authentic', 1],
        ['repeated', [a, b, b, c, d, e], 'chunk_not_authentic', 2],
        ['left out', [a, c, d, e], 'chunk_not_authentic', 1],
        ['first left out', [b, c, d, e], 'chunk_not_authentic', 0],
        ['of another file', [a, part(foreign, 1), c, d, e], 'chunk_not_authentic', 1],
        ['last left out', [a, b, c, d], 'truncated', 3],
        ['two left out', [a, b, c], 'truncated', 2],
        ['last one twice', [a, b, c, d, e, e], announced === null ? 'chunk_not_authentic' : 'trailing_bytes', 4],
      ];
      for (const [what, chunks, code, chunkIndex] of cases) {
        const outcome = openPieces([head, ...chunks], KEY, crypto);
        expect({ what, announced, code: outcome.code, chunkIndex: outcome.chunkIndex }).toEqual({
          what,
          announced,
          code,
          chunkIndex,
        });
        expect(isPrefix(outcome.released, content)).toBe(true);
        expect(outcome.released.length).toBe(chunkIndex === 0 ? 0 : chunkIndex * 65_536 - 256);
      }
    }
  });

  it('a full last chunk with a chunk after it → trailing_bytes, even where no size was announced', () => {
    const sealed = sealWhole(testContent(65_536 - 256), { to: TO_LINK });
    expect(openPieces([sealed, sealed.slice(LINK_HEADER)], KEY, crypto)).toMatchObject({
      code: 'trailing_bytes',
      chunkIndex: 0,
    });
  });

  it('a header in front of the chunks of another file with the same content key → not authentic', () => {
    // Same first draw, so the same content key; other recipients, so another header.
    const first = sealWhole(testContent(40), { to: { kind: 'recipients', recipients: [KEYS.ops] } });
    const second = sealWhole(testContent(40), { to: { kind: 'recipients', recipients: [KEYS.ops, KEYS.lab] } });
    const headerOfFirst = first.subarray(0, 43 + 4 + 1168 + 32);
    const chunksOfSecond = second.subarray(second.length - (256 + 40 + 16));
    const spliced = concat([headerOfFirst, chunksOfSecond]);
    expect(openPieces([spliced], { identities: [KEYS.ops] }, crypto).code).toBe('chunk_not_authentic');
  });
});

describe('damage', () => {
  it('every byte of a file to two recipients with a signature, one bit flipped → a typed error, nothing released', () => {
    const to = { kind: 'recipients', recipients: [KEYS.lab, KEYS.ops] } as const;
    const sealed = sealWhole(testContent(20), { to, signer: KEYS.pump });
    const undetected: number[] = [];
    for (let at = 0; at < sealed.length; at++) {
      const flipped = sealed.slice();
      flipped[at]! ^= 1 << (at % 8);
      const outcome = openPieces([flipped], { identities: [KEYS.lab] });
      if (outcome.code === null || outcome.released.length > 0) undetected.push(at);
    }
    expect(undetected).toEqual([]);
  });

  it('a damaged third chunk → the first two were released, then the error, and the same error ever after', () => {
    const content = testContent(200_000);
    const sealed = sealWhole(content, { to: TO_LINK, contentBytes: content.length });
    sealed[LINK_HEADER + 2 * CHUNK + 500]! ^= 4;
    const opener = createOpener(CRYPTOS[1]!, KEY);
    const released: Uint8Array[] = [];
    let failure: unknown = null;
    try {
      for (let at = 0; at < sealed.length; at += 10_000)
        released.push(...opener.push(sealed.subarray(at, at + 10_000)));
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(SealError);
    expect((failure as SealError).chunkIndex).toBe(2);
    expect(Buffer.compare(concat(released), content.subarray(0, 2 * 65_536 - 256))).toBe(0);
    expect(() => opener.push(new Uint8Array(1))).toThrow(failure as SealError);
    expect(() => opener.finish()).toThrow(failure as SealError);
  });

  it('things that are not sealed files → not_sealed or truncated by what they begin with', () => {
    const open = (bytes: Uint8Array) => openPieces([bytes], KEY).code;
    expect(open(new Uint8Array(0))).toBe('not_sealed');
    expect(open(new TextEncoder().encode('hello'))).toBe('not_sealed');
    expect(open(testContent(5_000))).toBe('not_sealed');
    const sealed = sealWhole(testContent(1), { to: TO_OPS });
    expect(open(sealed.subarray(0, 5))).toBe('truncated');
    const asText = Uint8Array.from(sealed, (byte) => byte & 0x7f);
    expect(open(asText)).toBe('not_sealed');
    const lineEnds = concat([sealed.subarray(0, 5), sealed.subarray(6)]);
    expect(open(lineEnds)).toBe('not_sealed');
  });

  it('any edit at all (bytes cut out, put in, copied elsewhere, garbage after the magic) → a typed error, at most a true beginning released', () => {
    const content = testContent(140_000);
    const to = { kind: 'recipients', recipients: [KEYS.ops, KEYS.lab] } as const;
    const sealed = sealWhole(content, { to, contentBytes: content.length, signer: KEYS.pump });
    const place = fc.oneof(fc.nat(3_000), fc.nat(sealed.length));
    const length = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(16, CHUNK, 65_536));
    const edit = fc.record({
      kind: fc.constantFrom('cut', 'copy', 'insert', 'garbage'),
      from: place,
      to: place,
      length,
    });
    fc.assert(
      fc.property(
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        fc.uint8Array({ minLength: 1, maxLength: 500 }),
        (edits, noise) => {
          let file = sealed;
          for (const { kind, from, to: target, length: count } of edits) {
            const part = kind === 'insert' ? noise : file.slice(from, from + count);
            if (kind === 'cut') file = concat([file.subarray(0, from), file.subarray(from + count)]);
            else if (kind === 'garbage') file = concat([file.subarray(0, 8), noise]);
            else file = concat([file.subarray(0, target), part, file.subarray(target)]);
          }
          fc.pre(Buffer.compare(file, sealed) !== 0);
          const outcome = openPieces([file.subarray(0, 70_000), file.subarray(70_000)], { identities: [KEYS.ops] });
          expect(outcome.code).not.toBeNull();
          expect(isPrefix(outcome.released, content)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});
