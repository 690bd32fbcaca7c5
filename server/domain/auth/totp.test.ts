import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { otpauthTotp } from '../../adapters/sign-in/totp.ts';
import { judgeTotp, totpDigits, totpStepAt, totpSteps } from './totp.ts';

// RFC 6238, appendix B, SHA-1: the seed is the ASCII text below; the vectors have eight digits, of which these are the last six.
const RFC_SEED = new TextEncoder().encode('12345678901234567890');

describe('totp', () => {
  test.each([
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
    [20_000_000_000, '353130'],
  ])('code: RFC 6238 vector at %i s → %s', (seconds, code) => {
    expect(otpauthTotp.code(RFC_SEED, totpStepAt(seconds * 1000))).toBe(code);
  });

  test('uri: of a user → what authenticators read, the seed in base32', () => {
    const uri = new URL(otpauthTotp.uri({ seed: RFC_SEED, label: 'a+b@example.com' }));
    expect(uri.protocol).toBe('otpauth:');
    expect(uri.searchParams.get('secret')).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
    expect(uri.searchParams.get('issuer')).toBe('Fuselink');
    expect(uri.searchParams.get('digits')).toBe('6');
    expect(uri.searchParams.get('period')).toBe('30');
    expect(decodeURIComponent(uri.pathname)).toContain('a+b@example.com');
  });

  test('steps: any moment → this half minute and one either way', () => {
    expect(totpSteps(59_999)).toEqual([0, 1, 2]);
    expect(totpSteps(60_000)).toEqual([1, 2, 3]);
  });

  test.each([
    { matching: [], last: 0, verdict: { kind: 'wrong' }, why: 'no step has this code' },
    { matching: [7], last: 6, verdict: { kind: 'accepted', step: 7 }, why: 'a later step' },
    { matching: [7], last: 7, verdict: { kind: 'used' }, why: 'the same step again' },
    { matching: [7], last: 8, verdict: { kind: 'used' }, why: 'an earlier step, although it was never used itself' },
    { matching: [7, 9], last: 8, verdict: { kind: 'accepted', step: 9 }, why: 'two steps share a code, one is fresh' },
  ])('judge: $why → $verdict.kind', ({ matching, last, verdict }) => {
    expect(judgeTotp(matching, last)).toEqual(verdict);
  });

  test('judge: any series of codes → every step is accepted at most once', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 3 })), (tries) => {
        const accepted: number[] = [];
        let last = 0;
        for (const matching of tries) {
          const verdict = judgeTotp(matching, last);
          if (verdict.kind !== 'accepted') continue;
          accepted.push(verdict.step);
          last = verdict.step;
        }
        expect(new Set(accepted).size).toBe(accepted.length);
      }),
    );
  });

  test.each([
    ['123456', '123456'],
    ['123 456', '123456'],
    ['123-456', '123456'],
    ['12345', null],
    ['1234567', null],
    ['12345a', null],
    ['١٢٣٤٥٦', null],
    ['', null],
  ])('digits: %j → %j', (text, digits) => {
    expect(totpDigits(text)).toBe(digits);
  });
});
