import { fromBase64url, toBase64url } from './base64url.ts';
import { concat, equalBytes, utf8 } from './bytes.ts';
import type { SealCrypto } from './crypto/port.ts';
import { SealError } from './errors.ts';
import { sha256Of } from './format/file-keys.ts';
import { KEY_BYTES } from './limits.ts';

/** Begins every fragment of version 1, so that a page can tell a key from an anchor. */
const PREFIX = 'k1.';
const CHECK_BYTES = 4;
const LABEL = utf8('fuselink seal v1 fragment');

function check(crypto: SealCrypto, contentKey: Uint8Array): Uint8Array {
  return sha256Of(crypto, [LABEL, contentKey]).subarray(0, CHECK_BYTES);
}

/**
 * The fragment (without `#`) that carries a 32-byte content key: `k1.` + base64url(key ‖ check), 51 characters. The
 * check finds a cut or mistyped link before anything is asked of the server (SPEC §9).
 */
export function encodeFragment(crypto: SealCrypto, contentKey: Uint8Array): string {
  return PREFIX + toBase64url(concat([contentKey, check(crypto, contentKey)]));
}

/**
 * The content key of a fragment, with or without its `#`. Throws {@link SealError} `fragment_malformed`; the message
 * never shows the text.
 */
export function decodeFragment(crypto: SealCrypto, fragment: string): Uint8Array {
  const text = fragment.startsWith('#') ? fragment.slice(1) : fragment;
  if (!text.startsWith(PREFIX)) {
    throw new SealError(
      'fragment_malformed',
      `expected it to begin with "${PREFIX}", got ${text.length} other characters`,
    );
  }
  const bytes = fromBase64url(text.slice(PREFIX.length));
  if (bytes === null || bytes.length !== KEY_BYTES + CHECK_BYTES) {
    throw new SealError('fragment_malformed', `expected 51 characters of base64url, got ${text.length}`);
  }
  const contentKey = bytes.slice(0, KEY_BYTES);
  if (!equalBytes(check(crypto, contentKey), bytes.subarray(KEY_BYTES))) {
    throw new SealError(
      'fragment_malformed',
      'expected its last characters to match the others: it was mistyped or cut',
    );
  }
  return contentKey;
}
