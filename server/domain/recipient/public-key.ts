import {
  SEAL_ALGORITHMS,
  SEAL_FINGERPRINT_LABEL,
  SEAL_FINGERPRINT_WORDS,
  SEAL_KEY_CHECK_BYTES,
  SEAL_KEY_TEXT_LABEL,
  SEAL_PUBLIC_KEY_PREFIXES,
  SEAL_WORDS,
  type SealAlgorithm,
  type SealKeyPurpose,
} from '#sdk/protocol';
import { fromBase64url, toHex, utf8 } from '../base64url.ts';

export interface PublicKeyOnFile {
  algorithm: SealAlgorithm;
  /** Canonical: a key has exactly one text. */
  text: string;
  /** 64 hex characters. */
  fingerprint: string;
}

export type ParsedPublicKey = { ok: true; key: PublicKeyOnFile } | { ok: false; detail: string };

type Sha256 = (...parts: Uint8Array[]) => Uint8Array;

/** Longest key text: ML-DSA-65's, with room to spare. */
const TEXT_CHARS_MAX = 4_000;
const SECRET_PREFIXES = ['fuselink_key1_', 'fuselink_locked1_', 'fuselink_sign1_', 'fuselink_signlocked1_'];
const ZERO = Uint8Array.of(0);
const WORDS = SEAL_WORDS.split(' ');
/** ML-KEM-768: 768 coefficients of 12 bits below this modulus, then 32 bytes of seed [FIPS 203 §7.2]. */
const ML_KEM_MODULUS = 3329;
const ML_KEM_COEFFICIENT_BYTES = 1152;

/** Reads a public key's text (sdk/SPEC.md §2.2), and checks all that can be checked of it without a partner. */
export function parsePublicKey(purpose: SealKeyPurpose, text: string, sha256: Sha256): ParsedPublicKey {
  const prefix = SEAL_PUBLIC_KEY_PREFIXES[purpose];
  const trimmed = text.trim();
  if (!trimmed.startsWith(prefix))
    return { ok: false, detail: `expected it to begin with ${prefix}, got ${kindOf(trimmed)}` };
  const bytes = trimmed.length > TEXT_CHARS_MAX ? null : fromBase64url(trimmed.slice(prefix.length));
  if (bytes === null || bytes.length < 2 + SEAL_KEY_CHECK_BYTES) {
    return { ok: false, detail: `expected canonical base64url behind ${prefix}, got another text` };
  }
  const whole = bytes.subarray(0, bytes.length - SEAL_KEY_CHECK_BYTES);
  const check = sha256(utf8(SEAL_KEY_TEXT_LABEL), ZERO, utf8(prefix), whole).subarray(0, SEAL_KEY_CHECK_BYTES);
  if (toHex(check) !== toHex(bytes.subarray(whole.length))) {
    return { ok: false, detail: 'expected its last characters to match the others: it was mistyped or cut' };
  }
  const id = ((whole[0] ?? 0) << 8) | (whole[1] ?? 0);
  const algorithm = SEAL_ALGORITHMS.find((one) => one.purpose === purpose && one.id === id);
  const known = SEAL_ALGORITHMS.filter((one) => one.purpose === purpose).map((one) => one.name);
  if (algorithm === undefined) {
    return { ok: false, detail: `expected a key for ${known.join(' or ')}, got algorithm 0x${id.toString(16)}` };
  }
  const key = whole.subarray(2);
  if (key.length !== algorithm.publicKeyBytes) {
    const expected = `${algorithm.publicKeyBytes} bytes for ${algorithm.name}`;
    return { ok: false, detail: `expected ${expected}, got ${key.length}` };
  }
  if (purpose === 'recipient' && !isReduced(key)) {
    return { ok: false, detail: `expected a valid ${algorithm.name} key, got one with a coefficient out of range` };
  }
  const fingerprint = toHex(sha256(utf8(SEAL_FINGERPRINT_LABEL), ZERO, whole));
  return { ok: true, key: { algorithm, text: trimmed, fingerprint } };
}

/** The words of a fingerprint given in hex, joined by `-`. */
export function fingerprintWords(fingerprint: string): string {
  const words: string[] = [];
  for (let at = 0; at < SEAL_FINGERPRINT_WORDS; at++) {
    words.push(WORDS[Number.parseInt(fingerprint.slice(2 * at, 2 * at + 2), 16)] ?? '?');
  }
  return words.join('-');
}

/** Never shows the text: somebody may have pasted a private key. */
function kindOf(text: string): string {
  const secret = SECRET_PREFIXES.find((prefix) => text.startsWith(prefix));
  if (secret !== undefined) return `a private key (${secret}): it has now left its device; make another`;
  const other = Object.values(SEAL_PUBLIC_KEY_PREFIXES).find((prefix) => text.startsWith(prefix));
  return other === undefined ? `${text.length} other characters` : `a ${other} key, which is for something else`;
}

/** FIPS 203's modulus check on the ML-KEM part, which both KEMs begin with. */
function isReduced(key: Uint8Array): boolean {
  for (let at = 0; at < ML_KEM_COEFFICIENT_BYTES; at += 3) {
    const [a = 0, b = 0, c = 0] = key.subarray(at, at + 3);
    if ((a | ((b & 15) << 8)) >= ML_KEM_MODULUS || ((b >> 4) | (c << 4)) >= ML_KEM_MODULUS) return false;
  }
  return true;
}
