import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBase64url, fromHex, fromUtf8, toBase64url, toHex, utf8 } from './base64url.ts';

const bytes = fc.uint8Array({ maxLength: 100 });

describe('base64url', () => {
  test('any bytes → as Node writes them, and back', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(toBase64url(value)).toBe(Buffer.from(value).toString('base64url'));
        expect(fromBase64url(toBase64url(value))).toEqual(value);
      }),
    );
  });

  test.each(['A', 'AB==', 'AB', 'A B', 'AA+', 'AA/', '=', 'AAAAB'])('%j, not the canonical spelling → null', (text) => {
    expect(fromBase64url(text)).toBeNull();
  });

  test('any text → at most one spelling of the same bytes', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        const value = fromBase64url(text);
        expect(value === null || toBase64url(value) === text).toBe(true);
      }),
    );
  });
});

describe('hex', () => {
  test('any bytes → as Node writes them, and back in either case', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(toHex(value)).toBe(Buffer.from(value).toString('hex'));
        expect(fromHex(toHex(value).toUpperCase())).toEqual(value);
      }),
    );
  });

  test.each(['a', 'zz', '0x', 'ab c'])('%j → null', (text) => {
    expect(fromHex(text)).toBeNull();
  });
});

describe('UTF-8', () => {
  test('any text → as Node writes it, and back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const wellFormed = Buffer.from(text).toString();
        expect(utf8(text)).toEqual(new Uint8Array(Buffer.from(wellFormed)));
        expect(fromUtf8(utf8(text))).toBe(Buffer.from(wellFormed).toString());
      }),
    );
  });

  test('any bytes → a text without lone surrogates; never throws', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const text = fromUtf8(value);
        expect(Buffer.from(text).toString()).toBe(text);
      }),
    );
  });

  test.each([
    ['a lone surrogate', [0xed, 0xa0, 0x80]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
    ['a cut character', [0xe2, 0x82]],
  ])('%s → U+FFFD', (_name, value) => {
    expect(fromUtf8(Uint8Array.from(value))).toMatch(/^\ufffd+$/);
  });
});
