import { IDEMPOTENCY_KEY_CHARS_MAX, IDEMPOTENCY_KEY_CHARS_MIN } from '#sdk/protocol';
import type { Checked } from './filename.ts';

/**
 * An `Idempotency-Key`, bare or as an RFC 8941 string. It must be hard to guess, because until the file is burned the
 * server's secret, its database and this key together can open it. The value never enters a message.
 */
export function checkIdempotencyKey(header: string): Checked<string> {
  const bare = /^"(.*)"$/.exec(header.trim())?.[1] ?? header.trim();
  if (
    bare.length < IDEMPOTENCY_KEY_CHARS_MIN ||
    bare.length > IDEMPOTENCY_KEY_CHARS_MAX ||
    !/^[\x21-\x7e]+$/.test(bare)
  ) {
    return {
      ok: false,
      detail: `expected ${IDEMPOTENCY_KEY_CHARS_MIN} to ${IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters without spaces, got ${bare.length} characters`,
    };
  }
  return { ok: true, value: bare };
}
