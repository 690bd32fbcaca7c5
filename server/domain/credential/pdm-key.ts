import { KEY_BYTES, KEY_PDM_PREFIX } from '#sdk/protocol';

/** What the 28 characters behind `pdm_` are chosen from: 69 of them, so that a key holds 171 random bits. */
export const PDM_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!@#$%&*';

/** The largest multiple of 69 that a byte can be below: bytes from there on would favour the first characters. */
const FAIR_BELOW = 256 - (256 % PDM_ALPHABET.length);

/** A key in the form `pdm_` + 28 characters, and its 32 key bytes: the text itself, in ASCII. */
export function newPdmKey(random: { bytes(count: number): Uint8Array }): { bytes: Uint8Array; text: string } {
  let text = KEY_PDM_PREFIX;
  while (text.length < KEY_BYTES) {
    for (const byte of random.bytes(KEY_BYTES)) {
      if (byte < FAIR_BELOW && text.length < KEY_BYTES) text += PDM_ALPHABET.charAt(byte % PDM_ALPHABET.length);
    }
  }
  return { bytes: Uint8Array.from(text, (character) => character.charCodeAt(0)), text };
}
