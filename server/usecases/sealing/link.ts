import { fromBase64url, toBase64url, utf8 } from '../../domain/base64url.ts';
import type { TransferId, UploadId } from '../../domain/ids.ts';
import type { Crypto } from '../../ports/crypto.ts';

export const TOKEN_BYTES = 32;
const ID_LABEL = utf8('id');
const UPLOAD_LABEL = utf8('upload');
const NO_SALT = new Uint8Array(0);

/** What a link's token opens. The token and the key live in memory only while bytes flow. */
export interface LinkSecrets {
  token: Uint8Array;
  id: TransferId;
  /** The 32 bytes that `id` spells: part of every segment's AAD. */
  idBytes: Uint8Array;
  /** AES-256-GCM key of the segments. */
  key: Uint8Array;
}

/** id = SHA-256("id" ‖ token); key = HKDF-SHA256(token, info "fuselink transfer v1"). */
export function linkSecrets(crypto: Crypto, token: Uint8Array): LinkSecrets {
  const idBytes = crypto.sha256(ID_LABEL, token);
  const key = crypto.hkdfSha256({ ikm: token, salt: NO_SALT, info: 'fuselink transfer v1', bytes: 32 });
  return { token, idBytes, id: toBase64url(idBytes) as TransferId, key };
}

/** The token written in a link, or null where the text is not the canonical spelling of 32 bytes. */
export function tokenOf(text: string): Uint8Array | null {
  const token = fromBase64url(text);
  return token !== null && token.length === TOKEN_BYTES ? token : null;
}

/** The link's token of a resumable upload follows from the secret in its Location. */
export function tokenOfUpload(crypto: Crypto, secret: Uint8Array): Uint8Array {
  return crypto.hkdfSha256({ ikm: secret, salt: NO_SALT, info: 'fuselink upload token v1', bytes: TOKEN_BYTES });
}

/** SHA-256("upload" ‖ secret): finds the row without keeping the secret. */
export function uploadIdOf(crypto: Crypto, secret: Uint8Array): UploadId {
  return toBase64url(crypto.sha256(UPLOAD_LABEL, secret)) as UploadId;
}
