import {
  ANSWER_COVERS_START,
  HEADER_SIGNATURE,
  HEADER_SIGNATURE_INPUT,
  SIGNATURE_START,
  signatureBase,
} from '#sdk/protocol';
import type { MacOfText } from './sign.ts';

/** The fields of an answer by their names in lower case. */
export interface Fields {
  [name: string]: string | undefined;
}

export interface AnswerToVerify {
  /** Three digits. */
  status: string;
  fields: Fields;
  /** `sha-256=:base64:` of the body as it came; of no bytes where it has none. */
  contentDigest: string;
}

/**
 * The fields of an answer that its signature vouches for, or null where nobody vouches for it. `signature`: the request's
 * own Signature field; `mac`: under the answering key. What is not in the result must not be looked at.
 */
export function verifiedFields(mac: MacOfText, signature: string, answer: AnswerToVerify): Fields | null {
  const input = answer.fields[HEADER_SIGNATURE_INPUT] || '';
  if (input.indexOf(ANSWER_COVERS_START) !== 0) return null;
  const components = input.substring(SIGNATURE_START.length + 1, input.indexOf(')')).split(' ');
  const values = [signature.substring(SIGNATURE_START.length), answer.status, answer.contentDigest];
  const told: Fields = {};
  for (let i = values.length; i < components.length; i++) {
    const component = components[i] as string;
    const name = component.substring(1, component.length - 1);
    values[i] = told[name] = answer.fields[name] || '';
  }
  const base = signatureBase(components, values, input.substring(SIGNATURE_START.length));
  // An ordinary comparison: every request has another signature, so a forger has one guess and no second to time it by.
  return answer.fields[HEADER_SIGNATURE] === SIGNATURE_START + mac(base) ? told : null;
}
