/** Hex and ASCII without TextEncoder or Buffer, which small interpreters lack. */

const DIGITS = '0123456789abcdef';

/** Lower-case hex, two characters a byte. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    text += DIGITS.charAt(byte >> 4) + DIGITS.charAt(byte & 15);
  }
  return text;
}

/** The bytes of an even number of hex characters of either case, or null when it is anything else. */
export function fromHex(text: string): Uint8Array | null {
  if (text.length & 1) return null;
  const lower = text.toLowerCase();
  const bytes = new Uint8Array(text.length >> 1);
  for (let i = 0; i < bytes.length; i++) {
    const high = DIGITS.indexOf(lower.charAt(2 * i));
    const low = DIGITS.indexOf(lower.charAt(2 * i + 1));
    if (high < 0 || low < 0) return null;
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}

/** One byte a character (its low 8 bits): for text known to be ASCII. */
export function fromAscii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** One character a byte. */
export function toAscii(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}
