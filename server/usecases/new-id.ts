import type { Deps } from './deps.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** `<kind>_` and 20 characters of Crockford's base32: 100 random bits, easy to read aloud and to select by a click. */
export function newId(deps: Pick<Deps, 'random'>, kind: string): string {
  const characters = Array.from(deps.random.bytes(20), (byte) => ALPHABET.charAt(byte & 31));
  return `${kind}_${characters.join('')}`;
}
