import { IDEMPOTENCY_KEY_CHARS_MAX } from '../../protocol/index.ts';

/** What names one upload for ever: who sent it, since which boot, the how-manieth, and what nobody can guess. */
export interface IdempotencyParts {
  /** Device id or name; only letters, digits, `-` and `_` of it are used, at most 64. */
  device: string;
  boot: string;
  sequence: number;
  /** 128 random bits as 32 hex characters: whoever guesses a key could ask for its link again. */
  random: string;
}

const SAFE = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_';
const NAME_CHARS_MAX = 64;
const RANDOM_HEX_CHARS = 32;

function safePart(text: string): string {
  let out = '';
  for (let i = 0; i < text.length && out.length < NAME_CHARS_MAX; i++) {
    const c = text.charAt(i);
    out += SAFE.indexOf(c) >= 0 ? c : '_';
  }
  return out;
}

/**
 * The Idempotency-Key `device.boot.sequence.random`, all ASCII. Throws RangeError when `random` has fewer than 128
 * bits: a guessable key is a link given away.
 */
export function idempotencyKey(parts: IdempotencyParts): string {
  if (parts.random.length < RANDOM_HEX_CHARS) {
    throw new RangeError(`expected at least ${RANDOM_HEX_CHARS} random hex characters, got ${parts.random.length}`);
  }
  const key = `${safePart(parts.device)}.${safePart(parts.boot)}.${parts.sequence}.${safePart(parts.random)}`;
  if (key.length > IDEMPOTENCY_KEY_CHARS_MAX) throw new RangeError(`the key has ${key.length} characters`);
  return key;
}

/** The key of a fresh start of the same job: another name for other bytes, as unguessable as the first. */
export function freshKey(base: string, restarts: number): string {
  return restarts === 0 ? base : `${base}.r${restarts}`;
}
