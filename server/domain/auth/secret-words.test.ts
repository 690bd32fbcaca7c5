import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAtMost, lesserRole, ROLES } from './roles.ts';
import { canonicalWords, RECOVERY_CODE_CHARACTERS, secretWords } from './secret-words.ts';

const bytes = fc.uint8Array({ minLength: RECOVERY_CODE_CHARACTERS, maxLength: RECOVERY_CODE_CHARACTERS });

describe('secret words', () => {
  test('words: any bytes → groups that read back to one form', () => {
    fc.assert(
      fc.property(bytes, (random) => {
        const words = secretWords(random, 4);
        expect(words).toMatch(/^([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}$/);
        const bare = canonicalWords(words, RECOVERY_CODE_CHARACTERS);
        expect(bare).toBe(words.replaceAll('-', ''));
        expect(canonicalWords(` ${words.toUpperCase().replaceAll('-', ' ')} `, RECOVERY_CODE_CHARACTERS)).toBe(bare);
        const slips = words.replaceAll('0', 'O').replaceAll('1', 'l');
        expect(canonicalWords(slips, RECOVERY_CODE_CHARACTERS)).toBe(bare);
      }),
    );
  });

  test.each([
    ['', 'nothing'],
    ['abcd', 'too short'],
    ['u'.repeat(16), 'a letter that is not in the alphabet'],
    ['a'.repeat(10_000), 'far too long'],
  ])('canonical: %j (%s) → null', (text) => {
    expect(canonicalWords(text, RECOVERY_CODE_CHARACTERS)).toBeNull();
  });
});

describe('roles', () => {
  test('order: owner, operator, auditor → each permits what those behind it do', () => {
    ROLES.forEach((role, i) => {
      ROLES.forEach((other, j) => {
        expect(isAtMost(role, other)).toBe(i >= j);
        expect(lesserRole(role, other)).toBe(ROLES[Math.max(i, j)]);
      });
    });
  });
});
