import { SEAL_KEY_CHECK_BYTES, SEAL_KEY_TEXT_LABEL, SEAL_PUBLIC_KEY_PREFIXES } from '#sdk/protocol';
import { fromBase64url, toBase64url } from '../base64url.ts';
import { concat, equalBytes, readU16, u16, utf8 } from '../bytes.ts';
import type { SealCrypto, SealRandom } from '../crypto/port.ts';
import { SealError } from '../errors.ts';
import { sha256Of } from '../format/file-keys.ts';
import { SCRYPT_LOG2_N_DEFAULT, SCRYPT_LOG2_N_MAX, SCRYPT_LOG2_N_MIN, TAG_BYTES } from '../limits.ts';
import {
  ALGORITHMS,
  type AlgorithmName,
  algorithmName,
  type KeyPurpose,
  keySizes,
  type PublicKey,
  type SecretKey,
  secretKeyFromSeed,
} from './key.ts';

/*
 * Keys as text (SPEC §2): prefix ‖ base64url(algorithm u16 ‖ body ‖ check[4]), where
 * check = the first bytes of SHA-256("fuselink key text v1" ‖ 00 ‖ prefix ‖ algorithm ‖ body).
 *
 *   public   body = the public key
 *   secret   body = the seed
 *   locked   body = log2 N u8 ‖ salt[16] ‖ AES-256-GCM(scrypt(passphrase, salt), nonce 0, aad prefix ‖ algorithm ‖ log2 N ‖ salt, seed)
 */
const PREFIXES = {
  recipient: { public: SEAL_PUBLIC_KEY_PREFIXES.recipient, secret: 'fuselink_key1_', locked: 'fuselink_locked1_' },
  signer: { public: SEAL_PUBLIC_KEY_PREFIXES.signer, secret: 'fuselink_sign1_', locked: 'fuselink_signlocked1_' },
} as const satisfies Record<KeyPurpose, Record<KeyForm, string>>;

/** `public` may be shown to anybody; `secret` is the private key itself; `locked` is the private key under a passphrase. */
export type KeyForm = 'public' | 'secret' | 'locked';

const LABEL = utf8(SEAL_KEY_TEXT_LABEL);
const CHECK_BYTES = SEAL_KEY_CHECK_BYTES;
const SALT_BYTES = 16;
/** Each salt gives a key of its own that seals one seed: one nonce is enough. */
const LOCK_NONCE = new Uint8Array(12);

function check(crypto: SealCrypto, prefix: string, body: Uint8Array): Uint8Array {
  return sha256Of(crypto, [LABEL, Uint8Array.of(0), utf8(prefix), body]).subarray(0, CHECK_BYTES);
}

function armour(crypto: SealCrypto, prefix: string, algorithm: AlgorithmName, body: Uint8Array): string {
  const whole = concat([u16(ALGORITHMS[algorithm].id), body]);
  return prefix + toBase64url(concat([whole, check(crypto, prefix, whole)]));
}

/** What kind of key a text is, by its prefix, or `null` where it is none. Looks no further than the prefix. */
export function keyTextKind(text: string): { readonly purpose: KeyPurpose; readonly form: KeyForm } | null {
  for (const purpose of ['recipient', 'signer'] as const) {
    for (const form of ['public', 'secret', 'locked'] as const) {
      if (text.startsWith(PREFIXES[purpose][form])) return { purpose, form };
    }
  }
  return null;
}

/** Takes a key's text apart and checks prefix, alphabet, check and algorithm. No part of the text enters a message. */
function disarm(
  crypto: SealCrypto,
  purpose: KeyPurpose,
  form: KeyForm,
  text: string,
): { readonly prefix: string; readonly algorithm: AlgorithmName; readonly body: Uint8Array } {
  const prefix = PREFIXES[purpose][form];
  if (!text.startsWith(prefix)) {
    const kind = keyTextKind(text);
    const came = kind === null ? `${text.length} other characters` : `a ${kind.form} ${kind.purpose} key`;
    throw new SealError('key_malformed', `expected it to begin with ${prefix}, got ${came}`);
  }
  const bytes = fromBase64url(text.slice(prefix.length));
  if (bytes === null || bytes.length < 2 + CHECK_BYTES) {
    throw new SealError(
      'key_malformed',
      `expected base64url after ${prefix}, got ${text.length} characters that are not`,
    );
  }
  const whole = bytes.subarray(0, bytes.length - CHECK_BYTES);
  if (!equalBytes(check(crypto, prefix, whole), bytes.subarray(whole.length))) {
    throw new SealError('key_malformed', 'expected its last characters to match the others: it was mistyped or cut');
  }
  const algorithm = algorithmName(purpose, readU16(whole, 0));
  if (algorithm === null) {
    throw new SealError('key_malformed', `algorithm 0x${readU16(whole, 0).toString(16)} is not known`);
  }
  return { prefix, algorithm, body: whole.slice(2) };
}

function expectSize(algorithm: AlgorithmName, body: Uint8Array, expected: number): void {
  if (body.length === expected) return;
  throw new SealError('key_malformed', `expected ${expected} bytes for ${algorithm}, got ${body.length}`);
}

/** The text of a public key; one line, about 1,640 characters for X-Wing. */
export function encodePublicKey(crypto: SealCrypto, key: PublicKey): string {
  return armour(crypto, PREFIXES[key.purpose].public, key.algorithm, key.publicKey);
}

/** The key of a public key's text. Throws {@link SealError} `key_malformed`. */
export function decodePublicKey(crypto: SealCrypto, purpose: KeyPurpose, text: string): PublicKey {
  const { algorithm, body } = disarm(crypto, purpose, 'public', text);
  expectSize(algorithm, body, keySizes(algorithm).publicKeyBytes);
  return { purpose, algorithm, publicKey: body };
}

/** The text of a private key. Whoever has it can read or sign. */
export function encodeSecretKey(crypto: SealCrypto, key: SecretKey): string {
  return armour(crypto, PREFIXES[key.purpose].secret, key.algorithm, key.seed);
}

/** The key pair of a private key's text. Throws {@link SealError} `key_malformed`. */
export function decodeSecretKey(crypto: SealCrypto, purpose: KeyPurpose, text: string): SecretKey {
  const { algorithm, body } = disarm(crypto, purpose, 'secret', text);
  expectSize(algorithm, body, keySizes(algorithm).seedBytes);
  return secretKeyFromSeed(crypto, algorithm, body);
}

/** The AES key of a passphrase, normalised so that it is the same from every keyboard. */
function lockKey(crypto: SealCrypto, passphrase: string, salt: Uint8Array, costLog2: number): Uint8Array {
  return crypto.scrypt(utf8(passphrase.normalize('NFKC')), salt, costLog2);
}

/**
 * The text of a private key under a passphrase. `costLog2`: scrypt's log2 N, 10 to 20, default 17 (128 MiB).
 * Throws `RangeError` for an empty passphrase or another cost.
 */
export function lockSecretKey(
  effects: { readonly crypto: SealCrypto; readonly random: SealRandom },
  key: SecretKey,
  passphrase: string,
  costLog2: number = SCRYPT_LOG2_N_DEFAULT,
): string {
  if (passphrase.length === 0) throw new RangeError('passphrase: expected 1 character or more, got none');
  if (!Number.isInteger(costLog2) || costLog2 < SCRYPT_LOG2_N_MIN || costLog2 > SCRYPT_LOG2_N_MAX) {
    throw new RangeError(`scrypt cost: expected ${SCRYPT_LOG2_N_MIN} to ${SCRYPT_LOG2_N_MAX}, got ${costLog2}`);
  }
  const prefix = PREFIXES[key.purpose].locked;
  const salt = effects.random.bytes(SALT_BYTES);
  const parameters = concat([Uint8Array.of(costLog2), salt]);
  const aad = concat([utf8(prefix), u16(ALGORITHMS[key.algorithm].id), parameters]);
  const aesKey = lockKey(effects.crypto, passphrase, salt, costLog2);
  const sealed = effects.crypto.aesGcmSeal(aesKey, LOCK_NONCE, aad, [key.seed]);
  return armour(effects.crypto, prefix, key.algorithm, concat([parameters, ...sealed]));
}

/**
 * The key pair of a locked key's text. Throws {@link SealError} `key_malformed` (also for a cost above 2^20, which is
 * refused before any memory is taken) or `passphrase_wrong`.
 */
export function unlockSecretKey(crypto: SealCrypto, purpose: KeyPurpose, text: string, passphrase: string): SecretKey {
  const { prefix, algorithm, body } = disarm(crypto, purpose, 'locked', text);
  expectSize(algorithm, body, 1 + SALT_BYTES + keySizes(algorithm).seedBytes + TAG_BYTES);
  const costLog2 = body[0]!;
  if (costLog2 < SCRYPT_LOG2_N_MIN || costLog2 > SCRYPT_LOG2_N_MAX) {
    const range = `${SCRYPT_LOG2_N_MIN} to ${SCRYPT_LOG2_N_MAX}`;
    throw new SealError('key_malformed', `expected a scrypt cost of ${range}, got ${costLog2}`);
  }
  const parameters = body.subarray(0, 1 + SALT_BYTES);
  const aad = concat([utf8(prefix), u16(ALGORITHMS[algorithm].id), parameters]);
  const aesKey = lockKey(crypto, passphrase, parameters.subarray(1), costLog2);
  const seed = crypto.aesGcmOpen(aesKey, LOCK_NONCE, aad, [body.subarray(parameters.length)]);
  if (seed === null) throw new SealError('passphrase_wrong', `tried on a locked ${algorithm} key`);
  return secretKeyFromSeed(crypto, algorithm, concat(seed));
}
