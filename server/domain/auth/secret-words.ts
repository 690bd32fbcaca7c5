const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Random bytes as groups of Crockford's base32, five bits a byte: `xxxx-xxxx-…`. For codes that people copy by hand. */
export function secretWords(bytes: Uint8Array, groupCharacters: number): string {
  let text = '';
  bytes.forEach((byte, i) => {
    if (i > 0 && i % groupCharacters === 0) text += '-';
    text += ALPHABET.charAt(byte & 31);
  });
  return text;
}

/**
 * What a person typed, in the form that is hashed: capitals, spaces and dashes do not matter, and o, i, l stand for
 * 0, 1, 1 as Crockford has it. Null where it cannot be such a code.
 */
export function canonicalWords(text: string, characters: number): string | null {
  if (text.length > 200) return null;
  const bare = text.toLowerCase().replace(/[\s-]/g, '').replace(/o/g, '0').replace(/[il]/g, '1');
  return bare.length === characters && /^[0-9a-hjkmnp-tv-z]+$/.test(bare) ? bare : null;
}

/** 80 random bits: no number of guesses finds one. */
export const RECOVERY_CODE_CHARACTERS = 16;
/** 100 random bits. */
export const SETUP_SECRET_CHARACTERS = 20;
