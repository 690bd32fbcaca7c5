import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTusMetadata } from './tus-metadata.ts';

const b64 = (text: string) => Buffer.from(text).toString('base64');

describe('Upload-Metadata', () => {
  it('none, or empty → no fields', () => {
    for (const header of [undefined, '', ' , '])
      expect(parseTusMetadata(header)).toMatchObject({ ok: true, fields: {} });
  });

  it('our fields and filetype → taken; what other clients add → let be; a key without a value → empty', () => {
    const header = `filename ${b64('größe 🔌.csv')},filetype ${b64('text/csv')}, ttl ${b64('600')} ,relativePath ${b64('null')},name ${b64('x')},note`;
    expect(parseTusMetadata(header)).toMatchObject({
      ok: true,
      fields: { filename: 'größe 🔌.csv', content_type: 'text/csv', ttl: '600', note: '' },
    });
  });

  it.each(['Yg', 'Yg=='])('base64 %s, with its padding or without → the same', (text) => {
    expect(parseTusMetadata(`note ${text}`)).toMatchObject({ ok: true, fields: { note: 'b' } });
  });

  const wrong: [string, string, RegExp][] = [
    ['a key twice', `a ${b64('x')},a ${b64('y')}`, /"a" twice/],
    ['no base64', 'filename Y%g', /another form/],
    ['base64 of no whole byte', 'filename Y', /base64 behind "filename"/],
    ['two values', 'filename YQ== YQ==', /another form/],
    ['a key of other than ASCII', 'größe YQ==', /another form/],
    ['65 pairs', Array.from({ length: 65 }, (_, i) => `k${i} YQ==`).join(','), /at most 64 pairs, got 65/],
  ];
  it.each(wrong)('%s → refused, and why', (_name, header, detail) => {
    expect(parseTusMetadata(header)).toEqual({ ok: false, detail: expect.stringMatching(detail) });
  });

  it('property: any text, written as tus says → read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (note, filename) => {
        const parsed = parseTusMetadata(`note ${b64(note)},filename ${b64(filename)}`);
        expect(parsed).toMatchObject({ ok: true, fields: { note, filename } });
      }),
    );
  });

  it('property: any header at all → an outcome, never an exception', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (header) => void parseTusMetadata(header)),
      { numRuns: 1_000 },
    );
  });
});
