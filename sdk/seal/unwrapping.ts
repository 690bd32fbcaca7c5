import type { SealCrypto } from './crypto/port.ts';
import { SealError } from './errors.ts';
import { stanzaInfo } from './format/file-keys.ts';
import type { Header } from './format/header.ts';
import { hpkeOpen } from './hpke/base-mode.ts';
import { kemById } from './hpke/kem.ts';
import { ALGORITHMS, type SecretKey } from './keys/key.ts';
import { KEY_BYTES, TAG_BYTES } from './limits.ts';

/** The content key in one of the stanzas of this identity's algorithm, or `null`. */
function tryIdentity(crypto: SealCrypto, header: Header, identity: SecretKey): Uint8Array | null {
  const kem = kemById(ALGORITHMS[identity.algorithm].id);
  if (kem === null)
    throw new SealError('key_missing', `expected recipients' keys, got a ${identity.algorithm} signing key`);
  const stanzas = header.stanzas.filter((stanza) => stanza.type === kem.id);
  if (stanzas.length === 0) return null;
  const keyPair = kem.keyPair(crypto, identity.seed);
  const info = stanzaInfo(header.salt);
  for (const { body } of stanzas) {
    const parts = { enc: body.subarray(0, kem.encBytes), ciphertext: body.subarray(kem.encBytes) };
    const contentKey = hpkeOpen(crypto, kem, keyPair, { ...parts, info });
    if (contentKey !== null) return contentKey;
  }
  return null;
}

/** A stanza of a known KEM has one size; any other is damage, and said to be. */
function checkStanzaSizes(header: Header): void {
  for (const { type, body } of header.stanzas) {
    const kem = kemById(type);
    if (kem === null) continue;
    const expected = kem.encBytes + KEY_BYTES + TAG_BYTES;
    if (body.length !== expected) {
      throw new SealError('header_malformed', `expected ${expected} bytes in a ${kem.name} stanza, got ${body.length}`);
    }
  }
}

/**
 * The content key that these keys give for this header; not yet checked against the header's MAC. Stanzas do not say
 * whose they are, so each identity tries all of its kind.
 * Throws {@link SealError} `key_missing`, `no_matching_key` or `header_malformed`.
 */
export function findContentKey(
  crypto: SealCrypto,
  header: Header,
  keys: { readonly identities?: readonly SecretKey[]; readonly contentKey?: Uint8Array | null },
): Uint8Array {
  const identities = keys.identities ?? [];
  const contentKey = keys.contentKey ?? null;
  if (header.stanzas.length === 0) {
    if (contentKey === null) throw new SealError('key_missing', 'expected the key in the fragment of its link');
    if (contentKey.length !== KEY_BYTES) {
      throw new SealError(
        'fragment_malformed',
        `expected a content key of ${KEY_BYTES} bytes, got ${contentKey.length}`,
      );
    }
    return new Uint8Array(contentKey); // a copy even of a Buffer, whose own slice() is a view: ours is wiped
  }
  checkStanzaSizes(header);
  if (identities.length === 0) {
    throw new SealError('key_missing', `expected the private key of one of its ${header.stanzas.length} recipients`);
  }
  for (const identity of identities) {
    const found = tryIdentity(crypto, header, identity);
    if (found !== null && found.length === KEY_BYTES) return found;
  }
  throw new SealError('no_matching_key', `tried ${identities.length} on ${header.stanzas.length} recipients`);
}
