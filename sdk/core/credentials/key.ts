import { FINGERPRINT_BYTES, FINGERPRINT_LABEL, KEY_HEX_CHARS, KEY_PDM_CHARS, KEY_PDM_PREFIX } from '#sdk/protocol';
import { concatBytes, fromAscii, fromHex, toAscii, toHex } from '../bytes/index.ts';

/** How a key's 32 bytes are spelled: 1 = 64 hex characters, 2 = `pdm_` and 28 more, the 32 ASCII bytes themselves. */
export type KeyForm = 1 | 2;
export const KEY_FORM_HEX = 1;
export const KEY_FORM_PDM = 2;

const PDM_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!@#$%&*';

/** SHA-256 is the platform's: native on Node and Espruino. Takes any bytes, gives 32. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

export interface ApiKey {
  form: KeyForm;
  /** The 32 bytes of the key, behind a function so that neither `util.inspect` nor JSON shows them. */
  bytes(): Uint8Array;
}

/** Wraps 32 key bytes. The array is kept, not copied. */
export function apiKey(form: KeyForm, bytes: Uint8Array): ApiKey {
  return {
    form: form,
    bytes: function () {
      return bytes;
    },
  };
}

/** A key from its text in either form, or null: the text is a secret, so nothing says what was wrong with it. */
export function parseApiKey(text: string): ApiKey | null {
  if (text.length === KEY_HEX_CHARS) {
    const bytes = fromHex(text);
    return bytes && apiKey(KEY_FORM_HEX, bytes);
  }
  if (text.length !== KEY_PDM_CHARS || text.indexOf(KEY_PDM_PREFIX) !== 0) return null;
  for (let i = KEY_PDM_PREFIX.length; i < text.length; i++) if (PDM_ALPHABET.indexOf(text.charAt(i)) < 0) return null;
  return apiKey(KEY_FORM_PDM, fromAscii(text));
}

/** The key as it stands in an Authorization header. The result is the secret itself. */
export function formatApiKey(key: ApiKey): string {
  return key.form === KEY_FORM_HEX ? toHex(key.bytes()) : toAscii(key.bytes());
}

/** First 8 bytes of SHA-256("fuselink fp" ‖ key), as 16 hex characters: names a key without telling it. */
export function fingerprintOf(sha256: Sha256, key: ApiKey): string {
  return toHex(sha256(concatBytes(fromAscii(FINGERPRINT_LABEL), key.bytes()))).substring(0, 2 * FINGERPRINT_BYTES);
}
