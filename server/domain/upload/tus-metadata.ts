import { fromUtf8 } from '../base64url.ts';
import { UPLOAD_FIELDS, type UploadFields } from './upload-options.ts';

export type TusMetadata = { ok: true; fields: UploadFields } | { ok: false; detail: string };

/** A header may carry this many pairs; ours are a dozen. */
const PAIRS_MAX = 64;

/**
 * Reads `Upload-Metadata` [tus 1.0, creation]: `key base64, key base64`, keys unique, values optional. `filename`,
 * `filetype` and our own fields are used; what other clients add (`name`, `type`, `relativePath`, …) is let be.
 */
export function parseTusMetadata(header: string | undefined): TusMetadata {
  const fields: UploadFields = {};
  const seen = new Set<string>();
  const pairs = (header ?? '').split(',').map((pair) => pair.trim());
  if (pairs.length > PAIRS_MAX)
    return { ok: false, detail: `expected at most ${PAIRS_MAX} pairs, got ${pairs.length}` };
  for (const pair of pairs) {
    if (pair === '') continue;
    const match = /^([^\s,]+)(?: +([A-Za-z0-9+/]*={0,2}))?$/.exec(pair);
    const key = match?.[1];
    if (match === null || key === undefined || !/^[\x21-\x7e]+$/.test(key)) {
      return { ok: false, detail: 'expected "key base64value" pairs divided by commas, got another form' };
    }
    if (seen.has(key)) return { ok: false, detail: `expected each key once, got "${key.slice(0, 40)}" twice` };
    seen.add(key);
    const value = decodeBase64(match[2] ?? '');
    if (value === null) return { ok: false, detail: `expected base64 behind "${key.slice(0, 40)}", got another text` };
    const field = key === 'filetype' ? 'content_type' : UPLOAD_FIELDS.find((known) => known === key);
    if (field !== undefined) fields[field] = value;
  }
  return { ok: true, fields };
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Text of a base64 value, padded or not; null where it is not base64 of whole bytes. */
function decodeBase64(text: string): string | null {
  const bare = text.replace(/=+$/, '');
  if (bare.length % 4 === 1) return null;
  const bytes: number[] = [];
  let word = 0;
  let bits = 0;
  for (const character of bare) {
    word = ((word << 6) | ALPHABET.indexOf(character)) & 0xffffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((word >> bits) & 255);
  }
  return fromUtf8(Uint8Array.from(bytes));
}
