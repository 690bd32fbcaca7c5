import { errors, jwtVerify, SignJWT } from 'jose';
import type { TokenClaims, Tokens } from '../../ports/sign-in.ts';

const ISSUER = 'fuselink';
const ALGORITHM = 'HS256';

/** Tokens by jose. One algorithm only: what a token's header asks for decides nothing. */
export const joseTokens: Tokens = {
  sign(claims, { key, keyVersion }) {
    return new SignJWT({ uid: claims.userId })
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: String(keyVersion) })
      .setIssuer(ISSUER)
      .setAudience(claims.purpose)
      .setSubject(claims.subject)
      .setIssuedAt(Math.floor(claims.issuedAtMs / 1000))
      .setExpirationTime(Math.floor(claims.expiresAtMs / 1000))
      .sign(key);
  },

  async read(text, { purpose, nowMs, keyOf }) {
    try {
      const { payload } = await jwtVerify(
        text,
        (header) => {
          const key = /^\d{1,3}$/.test(header.kid ?? '') ? keyOf(Number(header.kid)) : null;
          if (key === null) throw new errors.JWKSNoMatchingKey();
          return key;
        },
        {
          algorithms: [ALGORITHM],
          issuer: ISSUER,
          audience: purpose,
          requiredClaims: ['sub', 'exp', 'iat', 'uid'],
          currentDate: new Date(nowMs),
        },
      );
      const claims: TokenClaims = {
        purpose,
        subject: String(payload.sub),
        userId: String(payload['uid']),
        issuedAtMs: Number(payload.iat) * 1000,
        expiresAtMs: Number(payload.exp) * 1000,
      };
      return { ok: true, claims };
    } catch (error) {
      return { ok: false, reason: error instanceof errors.JWTExpired ? 'expired' : 'invalid' };
    }
  },
};
