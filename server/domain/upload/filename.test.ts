import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFilename, isWellFormed, utf8Length } from './filename.ts';

describe('file names', () => {
  const good = [
    'a',
    'log.csv',
    'größe "1" & 50%.csv',
    '日本語.bin',
    '🔌.bin',
    '.hidden',
    '...',
    'a..b',
    'ü'.repeat(127),
    'x'.repeat(255),
  ];
  it.each(good)('%s → as it is', (name) => expect(checkFilename(name)).toEqual({ ok: true, value: name }));

  const bad: [name: string, text: string, said: RegExp][] = [
    ['empty', '', /an empty one/],
    ['this folder', '.', /"\."/],
    ['the folder above', '..', /"\.\."/],
    ['a path', 'a/b', /without a path/],
    ['a path up', '../../etc/passwd', /without a path/],
    ['a Windows path', 'C:\\temp\\x', /without a path/],
    ['a NUL', 'a\0b', /control/],
    ['a line break', 'a\r\nSet-Cookie: b', /control/],
    ['a C1 control', 'a\u0085b', /control/],
    ['a line separator', 'a\u2028b', /control/],
    ['a direction override', 'a\u202egpj.exe', /direction/],
    ['an isolate', 'a\u2066b', /direction/],
    ['bytes that were no UTF-8', 'a\ufffdb', /undecodable/],
    ['half a surrogate pair', 'a\ud83d', /lone surrogate/],
    ['256 bytes of ASCII', 'x'.repeat(256), /256 bytes/],
    ['256 bytes of UTF-8', 'ü'.repeat(128), /256 bytes/],
  ];
  it.each(bad)('%s → refused, and why', (_name, text, said) => {
    const checked = checkFilename(text);
    expect(checked).toEqual({ ok: false, detail: expect.stringMatching(said) });
  });

  it('property: whatever is accepted is one path component that breaks no header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        if (!checkFilename(text).ok) return;
        expect(text).not.toMatch(/[/\\\0\r\n]/);
        expect(Buffer.from(text, 'utf8').toString('utf8')).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it('property: length and well-formedness → as UTF-8 itself has them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(utf8Length(text)).toBe(Buffer.byteLength(text, 'utf8'));
        expect(isWellFormed(text)).toBe(true);
      }),
    );
    expect(isWellFormed('\udc00')).toBe(false);
  });
});
