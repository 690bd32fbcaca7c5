import { KEY_BYTES, KEY_HEX_CHARS, KEY_PDM_CHARS, KEY_PDM_PREFIX } from '#sdk/protocol';

/**
 * The 32 key bytes a written API key stands for, or null where it is neither form: 64 hex characters are decoded,
 * `pdm_` + 28 characters stand for themselves. Everything derived from a key (hash, fingerprint, device secret) is
 * derived from these bytes.
 */
export function keyBytesOf(text: string): Uint8Array | null {
  if (text.length === KEY_HEX_CHARS && /^[0-9a-fA-F]+$/.test(text)) {
    // Read on every request, hence by arithmetic and not by 32 small texts.
    const bytes = new Uint8Array(KEY_BYTES);
    for (let i = 0; i < KEY_BYTES; i++) {
      bytes[i] = (hexDigit(text.charCodeAt(2 * i)) << 4) | hexDigit(text.charCodeAt(2 * i + 1));
    }
    return bytes;
  }
  if (text.length === KEY_PDM_CHARS && text.startsWith(KEY_PDM_PREFIX) && /^[A-Za-z0-9!@#$%&*_]+$/.test(text)) {
    const rest = text.slice(KEY_PDM_PREFIX.length);
    return rest.includes('_') ? null : Uint8Array.from({ length: KEY_BYTES }, (_, i) => text.charCodeAt(i));
  }
  return null;
}

/** Value of a hex digit's character code: `0`-`9` are 48.., `A`-`F` 65.., `a`-`f` 97... */
function hexDigit(code: number): number {
  return (code & 15) + (code > 64 ? 9 : 0);
}

/** 64 lower-case hex characters for 32 key bytes. */
export function keyHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Says exactly what is wrong with a text that is not a key; never repeats the text. */
export function describeMalformedKey(text: string): string {
  const expected = `expected an API key of ${KEY_HEX_CHARS} hex characters (or ${KEY_PDM_PREFIX} and ${KEY_PDM_CHARS - KEY_PDM_PREFIX.length} characters)`;
  if (text === '') return `${expected}, got nothing`;
  if (/\s/.test(text)) return `${expected}, got one with white space in it`;
  if (text.startsWith(KEY_PDM_PREFIX)) {
    if (text.length !== KEY_PDM_CHARS)
      return `${expected}, got ${KEY_PDM_PREFIX} and ${text.length - KEY_PDM_PREFIX.length} characters`;
    return `${expected}, got a character that is not one of A-Z a-z 0-9 ! @ # $ % & *`;
  }
  const stranger = /[^0-9a-fA-F]/.exec(text);
  if (text.length !== KEY_HEX_CHARS) return `${expected}, got ${text.length} characters`;
  return `${expected}, got a character that is not hex at position ${(stranger?.index ?? 0) + 1}`;
}
