import { concat, utf8 } from '../bytes.ts';
import type { SealCrypto } from '../crypto/port.ts';
import { hkdfExpand, hkdfExtract } from '../hpke/hkdf.ts';
import { KEY_BYTES } from '../limits.ts';
import { encodePreamble } from './header.ts';

const HEADER_LABEL = utf8('fuselink seal v1 header');
const PAYLOAD_LABEL = utf8('fuselink seal v1 payload');
const RECIPIENT_LABEL = utf8('fuselink seal v1 recipient');

/** HPKE's `info` for every stanza of the file with this salt: a stanza moved into another file does not open (SPEC §4). */
export function stanzaInfo(salt: Uint8Array): Uint8Array {
  return concat([RECIPIENT_LABEL, encodePreamble(salt)]);
}

/** The header's MAC under the content key (SPEC §5). It also commits: one file cannot open under two content keys. */
export function headerMac(
  crypto: SealCrypto,
  contentKey: Uint8Array,
  salt: Uint8Array,
  covered: Uint8Array,
): Uint8Array {
  const prk = hkdfExtract(crypto, salt, contentKey);
  return crypto.hmacSha256(hkdfExpand(crypto, prk, HEADER_LABEL, KEY_BYTES), covered);
}

/** The chunks' AES-256 key (SPEC §5): no chunk opens under any other header, because the header's hash is in it. */
export function payloadKey(
  crypto: SealCrypto,
  contentKey: Uint8Array,
  salt: Uint8Array,
  headerHash: Uint8Array,
): Uint8Array {
  const prk = hkdfExtract(crypto, salt, contentKey);
  return hkdfExpand(crypto, prk, concat([PAYLOAD_LABEL, headerHash]), KEY_BYTES);
}

/** SHA-256 of pieces in order. */
export function sha256Of(crypto: SealCrypto, pieces: readonly Uint8Array[]): Uint8Array {
  const hash = crypto.sha256();
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}
