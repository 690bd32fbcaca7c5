import { concat } from './bytes.ts';
import type { SealCrypto, SealRandom } from './crypto/port.ts';
import { SealError } from './errors.ts';
import { headerMac, payloadKey, sha256Of, stanzaInfo } from './format/file-keys.ts';
import { encodeCovered, headerBytes, type Stanza } from './format/header.ts';
import { encodeManifest, type Manifest } from './format/manifest.ts';
import { schemeOf, signatureMessage } from './format/signature.ts';
import { hpkeSeal } from './hpke/base-mode.ts';
import { kemById } from './hpke/kem.ts';
import { ALGORITHMS, type PublicKey, type SecretKey, samePublicKey } from './keys/key.ts';
import { CHUNK_PLAIN_BYTES, KEY_BYTES, RECIPIENTS_MAX, TAG_BYTES } from './limits.ts';
import { encodeFragment } from './link-fragment.ts';

/** Who a file is sealed to: recipients' keys, or whoever holds the link. Never both: a link that opens it makes the recipients pointless. */
export type SealTo =
  | { readonly kind: 'recipients'; readonly recipients: readonly PublicKey[] }
  | { readonly kind: 'link' };

/** What is sealed, apart from the content itself. */
export interface SealRequest {
  readonly to: SealTo;
  readonly name?: string | null;
  /** Size of the content where it is known beforehand; then anything else is refused at the end. */
  readonly contentBytes?: number | null;
  readonly mediaType?: string | null;
  readonly modifiedAtMs?: number | null;
  /** The device's signing key, where it signs. */
  readonly signer?: SecretKey | null;
}

/** The effects that sealing needs. */
export interface SealEffects {
  readonly crypto: SealCrypto;
  readonly random: SealRandom;
}

/** Everything about one sealed file that is settled before its first content byte. */
export interface Sealing {
  readonly header: Uint8Array;
  readonly headerHash: Uint8Array;
  /** The chunks' key. Secret; never store it: sealing other bytes under it would give both away. */
  readonly payloadKey: Uint8Array;
  /** The manifest, in front of the content in the first chunk. */
  readonly manifestBytes: Uint8Array;
  readonly contentBytes: number | null;
  readonly signer: SecretKey | null;
  /** The fragment that opens it, for `to: link`; otherwise `null`. Secret. */
  readonly fragment: string | null;
}

function manifestOf(request: SealRequest): Manifest {
  return {
    name: request.name ?? null,
    contentBytes: request.contentBytes ?? null,
    mediaType: request.mediaType ?? null,
    modifiedAtMs: request.modifiedAtMs ?? null,
    signer: request.signer ?? null,
  };
}

function checkRecipients(recipients: readonly PublicKey[]): void {
  if (recipients.length === 0 || recipients.length > RECIPIENTS_MAX) {
    throw new SealError('recipients_invalid', `expected 1 to ${RECIPIENTS_MAX}, got ${recipients.length}`);
  }
  recipients.forEach((recipient, index) => {
    if (recipient.purpose !== 'recipient') {
      throw new SealError('recipients_invalid', `expected recipient keys, got a ${recipient.algorithm} signing key`);
    }
    if (recipients.slice(0, index).some((earlier) => samePublicKey(earlier, recipient))) {
      throw new SealError('recipients_invalid', `recipient ${index + 1} of ${recipients.length} is there twice`);
    }
  });
}

function sealStanza(effects: SealEffects, recipient: PublicKey, salt: Uint8Array, contentKey: Uint8Array): Stanza {
  const kem = kemById(ALGORITHMS[recipient.algorithm].id)!;
  const sealed = hpkeSeal(effects.crypto, kem, {
    publicKey: recipient.publicKey,
    coins: effects.random.bytes(kem.coinsBytes),
    info: stanzaInfo(salt),
    plaintext: contentKey,
  });
  if (sealed === null)
    throw new SealError('key_malformed', `this ${recipient.algorithm} public key is not a valid one`);
  return { type: kem.id, body: concat([sealed.enc, sealed.ciphertext]) };
}

/**
 * Begins a sealed file: draws its content key and salt, wraps the key for each recipient, and writes header and
 * manifest. Draws from `random` in this order: content key (32), salt (32), each recipient's coins, and at the end the
 * signature's coins. Throws {@link SealError} `recipients_invalid`, `key_malformed`, `name_invalid`,
 * `content_too_large` or `manifest_malformed`.
 */
export function beginSealing(effects: SealEffects, request: SealRequest): Sealing {
  const { crypto, random } = effects;
  const signer = request.signer ?? null;
  if (signer !== null && signer.purpose !== 'signer') {
    throw new SealError('key_malformed', `expected a signing key, got a recipient's ${signer.algorithm} key`);
  }
  const manifest = manifestOf(request);
  const manifestBytes = encodeManifest(manifest);
  const recipients = request.to.kind === 'recipients' ? request.to.recipients : [];
  if (request.to.kind === 'recipients') checkRecipients(recipients);
  const contentKey = random.bytes(KEY_BYTES);
  const salt = random.bytes(KEY_BYTES);
  const stanzas = recipients.map((recipient) => sealStanza(effects, recipient, salt, contentKey));
  const covered = encodeCovered(salt, stanzas);
  const header = concat([covered, headerMac(crypto, contentKey, salt, covered)]);
  const headerHash = sha256Of(crypto, [header]);
  const sealing: Sealing = {
    header,
    headerHash,
    payloadKey: payloadKey(crypto, contentKey, salt, headerHash),
    manifestBytes,
    contentBytes: manifest.contentBytes,
    signer,
    fragment: request.to.kind === 'link' ? encodeFragment(crypto, contentKey) : null,
  };
  contentKey.fill(0);
  return sealing;
}

/** The sender's signature over what was sealed. */
export function signSealed(
  effects: SealEffects,
  sealing: Sealing,
  contentHash: Uint8Array,
  contentBytes: number,
): Uint8Array {
  const signer = sealing.signer!;
  const scheme = schemeOf(signer);
  const message = signatureMessage({ signer, headerHash: sealing.headerHash, contentHash, contentBytes });
  return scheme.sign(effects.crypto, signer.seed, message, effects.random.bytes(scheme.coinsBytes));
}

/** Bytes in the stream that is cut into chunks: manifest, content, signature. */
export function streamBytes(sealing: Sealing, contentBytes: number): number {
  const signatureBytes = sealing.signer === null ? 0 : schemeOf(sealing.signer).signatureBytes;
  return sealing.manifestBytes.length + contentBytes + signatureBytes;
}

/** Bytes of the whole sealed file of a content of this size: what `Upload-Length` and Content-Length are. */
export function sealedBytes(sealing: Sealing, contentBytes: number): number {
  const stream = streamBytes(sealing, contentBytes);
  return sealing.header.length + stream + TAG_BYTES * Math.ceil(stream / CHUNK_PLAIN_BYTES);
}

/** Bytes of the whole sealed file before anything was drawn or computed, for a quota check or a progress bar. */
export function sealedBytesOf(request: SealRequest, contentBytes: number): number {
  const recipients = request.to.kind === 'recipients' ? request.to.recipients : [];
  const bodies = recipients.map((key) => kemById(ALGORITHMS[key.algorithm].id)!.encBytes + KEY_BYTES + TAG_BYTES);
  const signer = request.signer ?? null;
  const signatureBytes = signer === null ? 0 : schemeOf(signer).signatureBytes;
  const stream = encodeManifest(manifestOf(request)).length + contentBytes + signatureBytes;
  return headerBytes(bodies) + stream + TAG_BYTES * Math.ceil(stream / CHUNK_PLAIN_BYTES);
}
