import { LINK_WRAP_LABEL } from '#sdk/protocol';
import { fromBase64url, toBase64url, toHex, utf8 } from '../../domain/base64url.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { Deps } from '../deps.ts';

const PURPOSE = 'place of a signed upload';
const SECRET_BYTES = 32;
/** version ‖ nonce ‖ secret ‖ tag, in base64url. */
const SEALED_CHARS = Math.ceil(((1 + 12 + SECRET_BYTES + 16) * 4) / 3);

/** The secret of a resumable upload as a signed answer may tell it: good for this device, under any of its keys. */
export function sealPlace(deps: Pick<Deps, 'keyring'>, device: DeviceId, secretText: string): string {
  const secret = fromBase64url(secretText);
  if (secret === null) throw new Error('the secret of an upload is base64url');
  return toBase64url(deps.keyring.seal(PURPOSE, device, secret));
}

/** What a place stands for: the text itself, or the secret in a sealed one. One that is not this device's leads nowhere. */
export function openPlace(deps: Pick<Deps, 'keyring'>, device: DeviceId | null, text: string): string {
  if (text.length !== SEALED_CHARS || device === null) return text;
  const sealed = fromBase64url(text);
  const secret = sealed === null ? null : deps.keyring.open(PURPOSE, device, sealed);
  return secret === null ? text : toBase64url(secret);
}

/** A link's token (base64url) wrapped for the holder of D, in hex. */
export function wrapLink(deps: Pick<Deps, 'crypto'>, deviceSecret: Uint8Array, token: string): string {
  const bytes = fromBase64url(token);
  if (bytes === null) throw new Error('the token of a link is base64url');
  return toHex(deps.crypto.wrapKey(deps.crypto.hmacSha256(deviceSecret, utf8(LINK_WRAP_LABEL)), bytes));
}
