import { SEAL_FINGERPRINT_LABEL, SEAL_FINGERPRINT_WORDS } from '#sdk/protocol';
import { hex, u16, utf8 } from '../bytes.ts';
import type { SealCrypto } from '../crypto/port.ts';
import { sha256Of } from '../format/file-keys.ts';
import { ALGORITHMS, type PublicKey } from './key.ts';
import { WORDS } from './words.ts';

const LABEL = utf8(SEAL_FINGERPRINT_LABEL);
const HEX_BYTES = 16;

/** A public key's fingerprint in three forms. */
export interface Fingerprint {
  /** All 32 bytes: what programs pin and compare. */
  readonly bytes: Uint8Array;
  /** The first 16 bytes in hexadecimal, in groups of four: `3f09 a1…`. */
  readonly hex: string;
  /** The first 12 bytes in words, for people to compare over the telephone: `amber-falcon-…`. */
  readonly words: string;
}

/** SHA-256(label ‖ 00 ‖ algorithm u16 ‖ public key), in the forms of {@link Fingerprint} (SPEC §2.4). */
export function fingerprint(crypto: SealCrypto, key: PublicKey): Fingerprint {
  const id = u16(ALGORITHMS[key.algorithm].id);
  const bytes = sha256Of(crypto, [LABEL, Uint8Array.of(0), id, key.publicKey]);
  const groups = hex(bytes.subarray(0, HEX_BYTES)).match(/.{4}/g)!;
  const words = Array.from(bytes.subarray(0, SEAL_FINGERPRINT_WORDS), (byte) => WORDS[byte]!);
  return { bytes, hex: groups.join(' '), words: words.join('-') };
}
