/** What signing in needs beside the primitives of crypto.ts. Adapters: otpauth and jose. */

/** Time-based one-time passwords [RFC 6238]: HMAC-SHA-1, 6 digits, 30 s. */
export interface Totp {
  /** The six digits of one time step (Unix time / 30 s) under a 20-byte seed. */
  code(seed: Uint8Array, step: number): string;
  /** The `otpauth://totp/…` URI that authenticators scan. */
  uri(what: { seed: Uint8Array; label: string }): string;
}

export interface TokenClaims {
  /** What the token may be used for; one made for another purpose is invalid. */
  purpose: 'session' | 'two-factor';
  /** Id of the session, or of the key of a half-done sign-in. */
  subject: string;
  userId: string;
  issuedAtMs: number;
  expiresAtMs: number;
}

export type TokenReading = { ok: true; claims: TokenClaims } | { ok: false; reason: 'invalid' | 'expired' };

/**
 * Signed tokens (JWT, HS256). What a token says is only where to look: the session it names is read from the store
 * every time, and a token's text is never compared with anything, because a JWT has many spellings.
 */
export interface Tokens {
  /** `keyVersion` says which key of the keyring signed it. */
  sign(claims: TokenClaims, by: { key: Uint8Array; keyVersion: number }): Promise<string>;
  /** Never throws. `keyOf` gives the key of a version, or null where there is none. */
  read(
    text: string,
    options: {
      purpose: TokenClaims['purpose'];
      nowMs: number;
      keyOf: (version: number) => Uint8Array | null;
    },
  ): Promise<TokenReading>;
}
