import { concat, u16, utf8 } from '../bytes.ts';
import type { SealCrypto } from '../crypto/port.ts';
import { hkdfExpand, hkdfExtract } from './hkdf.ts';
import type { Kem, KemKeyPair } from './kem.ts';

const VERSION_LABEL = utf8('HPKE-v1');
const KDF_HKDF_SHA256 = 0x0001;
const EMPTY = new Uint8Array(0);

/** HPKE code point of AES-256-GCM [RFC 9180 §7.3], the AEAD of every stanza. */
export const AEAD_AES_256_GCM = 0x0002;
/** Key bytes of the AEADs of RFC 9180; the others are here for the published vectors, which have no AES-256-GCM. */
const AEAD_KEY_BYTES: Readonly<Record<number, number>> = { 1: 16, [AEAD_AES_256_GCM]: 32, 3: 32 };

/** What both sides agree on after setup [RFC 9180 §5.1]. */
export interface HpkeContext {
  readonly key: Uint8Array;
  readonly baseNonce: Uint8Array;
  readonly exporterSecret: Uint8Array;
}

/** `suite_id` of HKDF-SHA256 with this KEM and AEAD [RFC 9180 §5.1]. */
export function hpkeSuiteId(kemId: number, aeadId: number): Uint8Array {
  return concat([utf8('HPKE'), u16(kemId), u16(KDF_HKDF_SHA256), u16(aeadId)]);
}

/** LabeledExtract [RFC 9180 §4]. */
export function labeledExtract(
  crypto: SealCrypto,
  suiteId: Uint8Array,
  salt: Uint8Array,
  label: string,
  ikm: Uint8Array,
): Uint8Array {
  return hkdfExtract(crypto, salt, concat([VERSION_LABEL, suiteId, utf8(label), ikm]));
}

/** LabeledExpand [RFC 9180 §4]. */
export function labeledExpand(
  crypto: SealCrypto,
  suiteId: Uint8Array,
  prk: Uint8Array,
  label: string,
  info: Uint8Array,
  lengthBytes: number,
): Uint8Array {
  const labeledInfo = concat([u16(lengthBytes), VERSION_LABEL, suiteId, utf8(label), info]);
  return hkdfExpand(crypto, prk, labeledInfo, lengthBytes);
}

/**
 * The key schedule of base mode with HKDF-SHA256 [RFC 9180 §5.1]: mode 0, empty psk and psk_id.
 * Throws `RangeError` for an AEAD that RFC 9180 does not name.
 */
export function keySchedule(
  crypto: SealCrypto,
  suite: { readonly kemId: number; readonly aeadId: number },
  sharedSecret: Uint8Array,
  info: Uint8Array,
): HpkeContext {
  const keyBytes = AEAD_KEY_BYTES[suite.aeadId];
  if (keyBytes === undefined) throw new RangeError(`HPKE AEAD: expected 1, 2 or 3, got ${suite.aeadId}`);
  const suiteId = hpkeSuiteId(suite.kemId, suite.aeadId);
  const pskIdHash = labeledExtract(crypto, suiteId, EMPTY, 'psk_id_hash', EMPTY);
  const infoHash = labeledExtract(crypto, suiteId, EMPTY, 'info_hash', info);
  const context = concat([Uint8Array.of(0), pskIdHash, infoHash]);
  const secret = labeledExtract(crypto, suiteId, sharedSecret, 'secret', EMPTY);
  return {
    key: labeledExpand(crypto, suiteId, secret, 'key', context, keyBytes),
    baseNonce: labeledExpand(crypto, suiteId, secret, 'base_nonce', context, 12),
    exporterSecret: labeledExpand(crypto, suiteId, secret, 'exp', context, 32),
  };
}

/**
 * Single-shot `SealBase` [RFC 9180 §6.1] with AES-256-GCM and an empty aad. `coins`: `kem.coinsBytes` random bytes.
 * Returns `enc` and `ciphertext` (plaintext + 16 bytes), or `null` where the public key is invalid.
 */
export function hpkeSeal(
  crypto: SealCrypto,
  kem: Kem,
  input: {
    readonly publicKey: Uint8Array;
    readonly coins: Uint8Array;
    readonly info: Uint8Array;
    readonly plaintext: Uint8Array;
  },
): { readonly enc: Uint8Array; readonly ciphertext: Uint8Array } | null {
  const encapsulated = kem.encapsulate(crypto, input.publicKey, input.coins);
  if (encapsulated === null) return null;
  const suite = { kemId: kem.id, aeadId: AEAD_AES_256_GCM };
  const context = keySchedule(crypto, suite, encapsulated.sharedSecret, input.info);
  const ciphertext = concat(crypto.aesGcmSeal(context.key, context.baseNonce, EMPTY, [input.plaintext]));
  return { enc: encapsulated.enc, ciphertext };
}

/** Single-shot `OpenBase` [RFC 9180 §6.1]: the plaintext, or `null` where this key does not open it. */
export function hpkeOpen(
  crypto: SealCrypto,
  kem: Kem,
  keyPair: KemKeyPair,
  input: { readonly enc: Uint8Array; readonly info: Uint8Array; readonly ciphertext: Uint8Array },
): Uint8Array | null {
  const sharedSecret = keyPair.decapsulate(input.enc);
  if (sharedSecret === null) return null;
  const suite = { kemId: kem.id, aeadId: AEAD_AES_256_GCM };
  const context = keySchedule(crypto, suite, sharedSecret, input.info);
  const plaintext = crypto.aesGcmOpen(context.key, context.baseNonce, EMPTY, [input.ciphertext]);
  return plaintext === null ? null : concat(plaintext);
}
