import { FILENAME_BYTES_MAX } from '#sdk/protocol';

/** What was wrong with a value: `expected` and `came`, ready for an error's text. */
export interface Rejected {
  ok: false;
  detail: string;
}
export type Checked<T> = { ok: true; value: T } | Rejected;

/** UTF-8 bytes of a text, without a TextEncoder (this is pure code). */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

// Control characters break headers and terminals; the bidirectional overrides make "exe.txt" out of "txt.exe".
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd]/u;

/**
 * A file's name: one path component of 1 to 255 UTF-8 bytes, without control or direction-changing characters.
 * Refused rather than repaired: a device must learn that its name was not kept.
 */
export function checkFilename(name: string): Checked<string> {
  const expected = `expected a plain file name of 1 to ${FILENAME_BYTES_MAX} bytes`;
  if (name === '') return { ok: false, detail: `${expected}, got an empty one` };
  if (name === '.' || name === '..') return { ok: false, detail: `${expected}, got "${name}"` };
  if (/[/\\]/.test(name)) return { ok: false, detail: `${expected} without a path, got one with "/" or "\\"` };
  if (FORBIDDEN.test(name)) {
    return { ok: false, detail: `${expected}, got one with control, direction-changing or undecodable characters` };
  }
  if (!isWellFormed(name)) return { ok: false, detail: `${expected} in valid Unicode, got a lone surrogate` };
  const bytes = utf8Length(name);
  if (bytes > FILENAME_BYTES_MAX) return { ok: false, detail: `${expected}, got ${bytes} bytes` };
  return { ok: true, value: name };
}

/** No lone surrogates: they have no UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/u.test(text);
}
