import {
  ANSWER_COVERS_START,
  HEADER_SIGNATURE,
  HEADER_SIGNATURE_INPUT,
  SIGNATURE_START,
  SIGNATURE_START_CHARS,
  signatureBase,
} from '#sdk/protocol';
import type { Fields, MacOfText } from './sign.ts';

/**
 * The fields of an answer that its signature vouches for, or null where nobody vouches for it. `signature`: the request's
 * own Signature field; `mac`: under the answering key; `status`: three digits; `contentDigest`: `sha-256=:base64:` of the
 * body as it came, of no bytes where it has none. What is not in the result must not be looked at.
 */
export function verifiedFields(
  mac: MacOfText,
  signature: string,
  status: string,
  fields: Fields,
  contentDigest: string,
): Fields | null {
  const input = fields[HEADER_SIGNATURE_INPUT] || '';
  if (input.indexOf(ANSWER_COVERS_START) !== 0) return null;
  const params = input.substring(SIGNATURE_START_CHARS);
  const components = params.substring(1, params.indexOf(')')).split(' ');
  const values = [signature.substring(SIGNATURE_START_CHARS), status, contentDigest];
  const told: Fields = {};
  for (let i = 3; i < components.length; i++) {
    const name = (components[i] as string).split('"')[1] as string;
    values[i] = told[name] = fields[name] || '';
  }
  // An ordinary comparison: every request has another signature, so a forger has one guess and no second to time it by.
  return fields[HEADER_SIGNATURE] === SIGNATURE_START + mac(signatureBase(components, values, params)) ? told : null;
}
