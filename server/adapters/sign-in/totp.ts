import { Secret, TOTP } from 'otpauth';
import { TOTP_DIGITS, TOTP_STEP_SECONDS } from '#sdk/protocol';
import type { Totp } from '../../ports/sign-in.ts';

const ISSUER = 'Fuselink';

/** One-time passwords by otpauth. SHA-1, because authenticators ignore the algorithm a URI asks for. */
export const otpauthTotp: Totp = {
  code: (seed, step) => totpOf(seed, '').generate({ timestamp: step * TOTP_STEP_SECONDS * 1000 }),
  uri: ({ seed, label }) => totpOf(seed, label).toString(),
};

function totpOf(seed: Uint8Array, label: string): TOTP {
  // The library takes an ArrayBuffer: one of exactly these bytes.
  const buffer = Uint8Array.from(seed).buffer;
  return new TOTP({
    issuer: ISSUER,
    label,
    algorithm: 'SHA1',
    digits: TOTP_DIGITS,
    period: TOTP_STEP_SECONDS,
    secret: new Secret({ buffer }),
  });
}
