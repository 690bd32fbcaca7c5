import {
  ANSWER_COVERS_START,
  HEADER_CONTENT_DIGEST,
  HEADER_SIGNATURE,
  HEADER_SIGNATURE_INPUT,
  SIGNATURE_START,
  SIGNED_ANSWER_HEADERS,
  signatureBase,
  signatureParams,
} from '#sdk/protocol';
import type { Deps } from '../deps.ts';
import type { ProvenRequest } from './authenticate-signed.ts';
import { asciiBytes, base64OfBytes } from './text.ts';

const COVERS = ANSWER_COVERS_START.slice(SIGNATURE_START.length + 1).split(' ');

/**
 * The fields that make an answer the server's own (sdk/SIGNED.md §4), bound to the request it answers. `field`: what the
 * answer says under a name, or null.
 */
export function signAnswer(
  deps: Pick<Deps, 'crypto'>,
  proven: ProvenRequest,
  answer: { status: number; body: Uint8Array; field(name: string): string | null },
): Record<string, string> {
  const contentDigest = `sha-256=:${base64OfBytes(deps.crypto.sha256(answer.body))}:`;
  const components = [...COVERS];
  const values = [proven.signature.signature, String(answer.status), contentDigest];
  for (const name of SIGNED_ANSWER_HEADERS) {
    const value = answer.field(name);
    if (value === null) continue;
    components.push(`"${name}"`);
    values.push(value.trim());
  }
  const params = signatureParams(components.join(' '), proven.signature.keyId, proven.signature.nonce);
  const mac = deps.crypto.hmacSha256(proven.answeringKey(), asciiBytes(signatureBase(components, values, params)));
  return {
    [HEADER_CONTENT_DIGEST]: contentDigest,
    [HEADER_SIGNATURE_INPUT]: SIGNATURE_START + params,
    [HEADER_SIGNATURE]: `${SIGNATURE_START}:${base64OfBytes(mac)}:`,
  };
}
