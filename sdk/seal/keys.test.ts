import { describe, expect, it } from 'vitest';
import { SealError, type SealErrorCode } from './errors.ts';
import { fingerprint } from './keys/fingerprint.ts';
import { type AlgorithmName, generateKey, type SecretKey, secretKeyFromSeed } from './keys/key.ts';
import { decodeKeyFile, encodeKeyFile } from './keys/key-file.ts';
import {
  decodePublicKey,
  decodeSecretKey,
  encodePublicKey,
  encodeSecretKey,
  keyTextKind,
  lockSecretKey,
  unlockSecretKey,
} from './keys/key-text.ts';
import { WORDS } from './keys/words.ts';
import { decodeFragment, encodeFragment } from './link-fragment.ts';
import {
  CRYPTOS,
  contentKeyOf,
  KEYS,
  openPieces,
  sealWhole,
  TO_LINK,
  TO_OPS,
  testContent,
  testRandom,
} from './seal.testkit.ts';
import { createSealer } from './sealer.ts';

const CRYPTO = CRYPTOS[1]!;
const ALGORITHM_NAMES: AlgorithmName[] = ['x-wing', 'ml-kem-768', 'ed25519', 'ml-dsa-65'];

function codeOf(act: () => unknown): SealErrorCode | 'none' {
  try {
    act();
  } catch (error) {
    if (error instanceof SealError) return error.code;
    throw error;
  }
  return 'none';
}

function levenshtein(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

describe.each(ALGORITHM_NAMES)('key texts of %s', (algorithm) => {
  const key: SecretKey = generateKey(CRYPTO, testRandom(algorithm), algorithm);
  const texts = { public: encodePublicKey(CRYPTO, key), secret: encodeSecretKey(CRYPTO, key) };

  it('encode and decode → the same key, whichever implementation', () => {
    for (const crypto of CRYPTOS) {
      const { purpose, publicKey } = key;
      expect(decodePublicKey(crypto, purpose, texts.public)).toEqual({ purpose, algorithm, publicKey });
      expect(decodeSecretKey(crypto, purpose, texts.secret)).toEqual(key);
    }
    expect(keyTextKind(texts.public)).toEqual({ purpose: key.purpose, form: 'public' });
    expect(keyTextKind(texts.secret)).toEqual({ purpose: key.purpose, form: 'secret' });
  });

  it('any one character changed, cut, added or swapped in the secret text → key_malformed, and the message shows none of it', () => {
    const text = texts.secret;
    const decode = (changed: string) => () => decodeSecretKey(CRYPTO, key.purpose, changed);
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'x' ? 'y' : 'x';
      expect(codeOf(decode(text.slice(0, at) + other + text.slice(at + 1)))).toBe('key_malformed');
      expect(codeOf(decode(text.slice(0, at)))).toBe('key_malformed');
      expect(codeOf(decode(text.slice(0, at) + text.slice(at + 1)))).toBe('key_malformed');
    }
    for (const tail of ['=', ' ', '\n', 'A', 'AA', 'AAAA']) expect(codeOf(decode(text + tail))).toBe('key_malformed');
    try {
      decode(`${text.slice(0, -1)}!`)();
    } catch (error) {
      expect(String(error)).not.toContain(text.slice(20, 40));
    }
  });

  it('a text of another purpose or form → key_malformed, and says what came', () => {
    const wrong = key.purpose === 'recipient' ? 'signer' : 'recipient';
    expect(() => decodePublicKey(CRYPTO, wrong, texts.public)).toThrow(`got a public ${key.purpose} key`);
    expect(() => decodePublicKey(CRYPTO, key.purpose, texts.secret)).toThrow(`got a secret ${key.purpose} key`);
    expect(keyTextKind('something')).toBeNull();
  });

  it('locked by a passphrase → opens with it in any normal form, and with no other', () => {
    const effects = { crypto: CRYPTO, random: testRandom('lock') };
    const locked = lockSecretKey(effects, key, 'pa\u0301ss', 10);
    expect(keyTextKind(locked)).toEqual({ purpose: key.purpose, form: 'locked' });
    expect(unlockSecretKey(CRYPTO, key.purpose, locked, 'p\u00e1ss')).toEqual(key);
    expect(codeOf(() => unlockSecretKey(CRYPTO, key.purpose, locked, 'pass'))).toBe('passphrase_wrong');
    expect(codeOf(() => unlockSecretKey(CRYPTO, key.purpose, locked, ''))).toBe('passphrase_wrong');
    expect(() => lockSecretKey(effects, key, '', 10)).toThrow(RangeError);
    expect(() => lockSecretKey(effects, key, 'p', 9)).toThrow(RangeError);
    expect(() => lockSecretKey(effects, key, 'p', 21)).toThrow(RangeError);
  });

  it('fingerprint → three forms of one hash, other for every key', () => {
    const print = fingerprint(CRYPTO, key);
    expect(print.bytes.length).toBe(32);
    expect(print.hex).toMatch(/^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
    const words = print.words.split('-');
    expect(words.map((word) => WORDS.indexOf(word))).toEqual([...print.bytes.subarray(0, 12)]);
    const other = generateKey(CRYPTO, testRandom('other'), algorithm);
    expect(fingerprint(CRYPTO, other).words).not.toBe(print.words);
  });
});

describe('keys', () => {
  it('a seed of the wrong size → key_malformed', () => {
    expect(codeOf(() => secretKeyFromSeed(CRYPTO, 'x-wing', new Uint8Array(31)))).toBe('key_malformed');
    expect(codeOf(() => secretKeyFromSeed(CRYPTO, 'ml-kem-768', new Uint8Array(32)))).toBe('key_malformed');
  });

  it('the words → 256, plain, each known by three letters, every two at least two letters apart', () => {
    expect(new Set(WORDS).size).toBe(256);
    expect(new Set(WORDS.map((word) => word.slice(0, 3))).size).toBe(256);
    for (const word of WORDS) expect(word).toMatch(/^[a-z]{3,8}$/);
    for (const a of WORDS) for (const b of WORDS) if (a < b) expect(levenshtein(a, b), `${a} ${b}`).toBeGreaterThan(1);
  });

  it('a key file → the keys back, comments and blank lines aside; faults name the line, not its text', () => {
    const secret = encodeSecretKey(CRYPTO, KEYS.ops);
    const locked = lockSecretKey({ crypto: CRYPTO, random: testRandom('lock') }, KEYS.pump, 'open', 10);
    const file = encodeKeyFile(CRYPTO, KEYS.ops, secret);
    expect(file).toContain(fingerprint(CRYPTO, KEYS.ops).words);
    expect(file).toContain(encodePublicKey(CRYPTO, KEYS.ops));
    expect(decodeKeyFile(CRYPTO, file)).toEqual([KEYS.ops]);
    let asked = 0;
    const both = decodeKeyFile(CRYPTO, `${file}\r\n${locked}\n${locked}`, () => {
      asked += 1;
      return 'open';
    });
    expect(both).toEqual([KEYS.ops, KEYS.pump, KEYS.pump]);
    expect(asked).toBe(1);
    expect(codeOf(() => decodeKeyFile(CRYPTO, locked))).toBe('key_missing');
    expect(codeOf(() => decodeKeyFile(CRYPTO, '# nothing\n'))).toBe('key_missing');
    expect(codeOf(() => decodeKeyFile(CRYPTO, locked, () => 'wrong'))).toBe('passphrase_wrong');
    expect(codeOf(() => decodeKeyFile(CRYPTO, 'x'.repeat(300_000)))).toBe('key_malformed');
    expect(() => decodeKeyFile(CRYPTO, `# one\nsecret-ish text`)).toThrow(/line 2, got something else$/);
    expect(() => decodeKeyFile(CRYPTO, encodePublicKey(CRYPTO, KEYS.ops))).toThrow(/line 1, got a public key$/);
  });

  it('a locked key with a hostile cost → refused before any memory is taken', () => {
    const locked = lockSecretKey({ crypto: CRYPTO, random: testRandom('lock') }, KEYS.ops, 'p', 10);
    const never = { ...CRYPTO, scrypt: () => expect.unreachable('scrypt was called') };
    // A changed cost breaks the text's own check, so write the text anew around it.
    const hostile = lockSecretKey({ crypto: { ...CRYPTO }, random: testRandom('lock') }, KEYS.ops, 'p', 10);
    expect(hostile).toBe(locked);
    for (const cost of [0, 9, 21, 255]) {
      const text = relock(locked, cost);
      expect(codeOf(() => unlockSecretKey(never, 'recipient', text, 'p'))).toBe('key_malformed');
    }
  });
});

/** The locked text with another cost byte and a right check. */
function relock(text: string, cost: number): string {
  const prefix = 'fuselink_locked1_';
  const bytes = new Uint8Array(Buffer.from(text.slice(prefix.length), 'base64url'));
  const body = bytes.subarray(0, bytes.length - 4);
  body[2] = cost;
  const hash = CRYPTO.sha256();
  hash.update(new TextEncoder().encode(`fuselink key text v1\0${prefix}`));
  hash.update(body);
  bytes.set(hash.digest().subarray(0, 4), body.length);
  return prefix + Buffer.from(bytes).toString('base64url');
}

describe('which key opens a file', () => {
  const toBoth = { kind: 'recipients', recipients: [KEYS.ops, KEYS.lab] } as const;

  it('the right one among several → opens; strangers, signing keys, nothing → typed errors', () => {
    const sealed = sealWhole(testContent(9), { to: toBoth });
    const open = (identities: SecretKey[]) => openPieces([sealed], { identities }).code;
    expect(open([KEYS.stranger, KEYS.lab])).toBeNull();
    expect(open([KEYS.stranger])).toBe('no_matching_key');
    expect(open([KEYS.pump])).toBe('key_missing');
    expect(open([])).toBe('key_missing');
    expect(openPieces([sealed], { contentKey: contentKeyOf('seal') }).code).toBe('key_missing');
  });

  it('keys given as Buffers → are neither changed nor kept', () => {
    const sealed = sealWhole(testContent(9), { to: TO_LINK });
    const contentKey = Buffer.from(contentKeyOf('seal'));
    for (let time = 0; time < 2; time++) expect(openPieces([sealed], { contentKey }).code).toBeNull();
    const seed = Buffer.alloc(32, 1);
    const key = secretKeyFromSeed(CRYPTO, 'x-wing', seed);
    seed.fill(0);
    expect(key).toEqual(KEYS.ops);
  });

  it('a file to its link → needs the fragment; another fragment is header_not_authentic', () => {
    const sealed = sealWhole(testContent(9), { to: TO_LINK });
    expect(openPieces([sealed], { identities: [KEYS.ops] }).code).toBe('key_missing');
    expect(openPieces([sealed], { contentKey: contentKeyOf('other') }).code).toBe('header_not_authentic');
    expect(openPieces([sealed], { contentKey: new Uint8Array(31) }).code).toBe('fragment_malformed');
  });

  it('lists of recipients that are empty, too long, doubled or invalid → refused', () => {
    const seal = (recipients: readonly SecretKey[]) =>
      codeOf(() => sealWhole(testContent(1), { to: { kind: 'recipients', recipients } }));
    expect(seal([])).toBe('recipients_invalid');
    expect(seal([KEYS.ops, KEYS.lab, KEYS.ops])).toBe('recipients_invalid');
    expect(seal(Array.from({ length: 65 }, () => KEYS.ops))).toBe('recipients_invalid');
    expect(seal([{ ...KEYS.lab, publicKey: new Uint8Array(1184).fill(0xff) }])).toBe('key_malformed');
    expect(seal([{ ...KEYS.ops, publicKey: new Uint8Array(1216) }])).toBe('key_malformed');
  });

  it('sixty-four recipients → each opens', () => {
    const keys = Array.from({ length: 64 }, (_, at) =>
      secretKeyFromSeed(CRYPTO, 'x-wing', new Uint8Array(32).fill(at + 10)),
    );
    const sealed = sealWhole(testContent(5), { to: { kind: 'recipients', recipients: keys } });
    for (const key of [keys[0]!, keys[63]!]) expect(openPieces([sealed], { identities: [key] }).code).toBeNull();
    expect(openPieces([sealed], { identities: [KEYS.lab] }).code).toBe('no_matching_key');
  });
});

describe('link fragment', () => {
  it('any one character changed or cut → fragment_malformed, before anything is asked of a server', () => {
    const fragment = encodeFragment(CRYPTO, contentKeyOf('seal'));
    expect(fragment).toMatch(/^k1\.[A-Za-z0-9_-]{48}$/);
    expect(decodeFragment(CRYPTO, `#${fragment}`)).toEqual(contentKeyOf('seal'));
    for (let at = 0; at < fragment.length; at++) {
      const other = fragment[at] === 'a' ? 'b' : 'a';
      const changed = fragment.slice(0, at) + other + fragment.slice(at + 1);
      expect(codeOf(() => decodeFragment(CRYPTO, changed))).toBe('fragment_malformed');
      expect(codeOf(() => decodeFragment(CRYPTO, fragment.slice(0, at)))).toBe('fragment_malformed');
    }
    for (const tail of ['.', '%20', 'A', '=']) {
      expect(codeOf(() => decodeFragment(CRYPTO, fragment + tail))).toBe('fragment_malformed');
    }
  });

  it('only files to their link have one', () => {
    const effects = () => ({ crypto: CRYPTO, random: testRandom('seal') });
    expect(createSealer(effects(), { to: TO_OPS }).fragment).toBeNull();
    expect(createSealer(effects(), { to: TO_LINK }).fragment).toBe(encodeFragment(CRYPTO, contentKeyOf('seal')));
  });
});
