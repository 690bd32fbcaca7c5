import { toBase64url, utf8 } from '../../domain/base64url.ts';
import type { Crypto } from '../../ports/crypto.ts';

const SECRET_PREFIX = 'whsec_';

/** Base64 with padding [RFC 4648 §4], which Standard Webhooks use. */
function base64(bytes: Uint8Array): string {
  const text = toBase64url(bytes).replaceAll('-', '+').replaceAll('_', '/');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/** A webhook's secret as it is shown: `whsec_` and base64. */
export function shownSecret(bytes: Uint8Array): string {
  return SECRET_PREFIX + base64(bytes);
}

/** The headers of Standard Webhooks 1.0: HMAC-SHA-256 over `<id>.<timestamp>.<body>`. */
export function signedHeaders(
  crypto: Crypto,
  secret: Uint8Array,
  message: { id: string; body: string; nowMs: number },
): Record<string, string> {
  const timestamp = String(Math.floor(message.nowMs / 1000));
  const mac = crypto.hmacSha256(secret, utf8(`${message.id}.${timestamp}.${message.body}`));
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${base64(mac)}`,
  };
}
