import fc from 'fast-check';
import { expect, test } from 'vitest';
import { safeName } from './safe-name.ts';

test.each([
  ['data.csv', 'data.csv'],
  ['../../etc/passwd', 'passwd'],
  ['..\\..\\boot.ini', 'boot.ini'],
  ['/', 'download'],
  ['..', 'download'],
  ['.', 'download'],
  ['', 'download'],
  ['.bashrc', '_bashrc'],
  ['-rf', '_rf'],
  ['a\u0000b\nc\u001b[31m', 'abc[31m'],
  ['invoice\u202egpj.exe', 'invoicegpj.exe'],
  ['CON', '_CON'],
  ['nul.txt', '_nul.txt'],
  ['trailing. . ', 'trailing'],
  ['Größe "a"|b?.csv', 'Größe _a__b_.csv'],
  ['  spaced.txt', 'spaced.txt'],
])('safe name: %j → %j', (name, expected) => {
  expect(safeName(name)).toBe(expected);
});

test('safe name: very long → cut to 247 bytes of whole characters, ending kept', () => {
  const cut = safeName(`${'ü'.repeat(300)}.tar`);
  expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(247);
  expect(cut.endsWith('ü.tar')).toBe(true);
});

test('safe name: any text → one path part, never hidden, never empty, stable when made safe again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ maxLength: 400 })), (name) => {
      const safe = safeName(name);
      expect(safe).not.toMatch(/[/\\\p{Cc}]/u);
      expect(safe).not.toMatch(/^[.-]|^$/);
      expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(247);
      expect(safeName(safe)).toBe(safe);
    }),
    { numRuns: 1000 },
  );
});
