import { toBase64url } from '../../domain/base64url.ts';

/** base64 with padding [RFC 4648 §4]. */
export function base64OfBytes(bytes: Uint8Array): string {
  const text = toBase64url(bytes).replaceAll('-', '+').replaceAll('_', '/');
  return text.padEnd(4 * Math.ceil(text.length / 4), '=');
}

/** A byte a character, as the fields of a message came over the wire. */
export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 255);
}
