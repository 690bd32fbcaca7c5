import { HEADER_SIGNATURE, HEADER_SIGNATURE_INPUT, SIGNATURE_START_CHARS } from '#sdk/protocol';
import { type Fields, type MacOfText, signatureOver } from './sign.ts';

/** Where the first field that is covered by name stands in an answer's list, split at quotation marks. */
const FIRST_FIELD_WORD = 9;

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
  // How every answer's list begins (ANSWER_COVERS_START): one that begins otherwise is not the one that was signed with these.
  let base = '"signature";req;key="fl": ' + signature.substring(SIGNATURE_START_CHARS);
  base += '\n"@status": ' + status + '\n"content-digest": ' + contentDigest + '\n';
  const told: Fields = {};
  // Between the quotation marks before the list's end: every second one is a name, from the fourth on a field's.
  const words = (input.split(')')[0] as string).split('"');
  for (let i = FIRST_FIELD_WORD; i < words.length; i += 2) {
    const name = words[i] as string;
    told[name] = fields[name] || '';
    base += '"' + name + '": ' + told[name] + '\n';
  }
  // An ordinary comparison: every request has another signature, so a forger has one guess and no second to time it by.
  return fields[HEADER_SIGNATURE] === signatureOver(mac, base, input) ? told : null;
}
