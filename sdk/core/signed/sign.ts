import {
  HEADER_SIGNATURE,
  HEADER_SIGNATURE_INPUT,
  SIGNATURE_START,
  signatureBase,
  signatureParams,
} from '#sdk/protocol';

/** Fields of a message by their names in lower case: ASCII, no white space around the values. */
export interface Fields {
  [name: string]: string;
}

export interface RequestToSign {
  method: string;
  /** The request target up to `?`, and what follows it ('' without one). */
  path: string;
  query: string;
  /** `device:fingerprint`. */
  keyId: string;
  /** The last one told, '' for none. */
  nonce: string;
}

/** Makes `:base64:` of HMAC-SHA-256 over ASCII text, under the signing or the answering key of one device key. */
export type MacOfText = (text: string) => string;

/**
 * Signs a request: adds Signature-Input and Signature to `fields`, which holds Content-Digest and every other field that
 * is to be covered (SIGNED_REQUEST_HEADERS), in this order. `mac`: under the signing key. Returns the Signature.
 */
export function signRequest(mac: MacOfText, request: RequestToSign, fields: Fields): string {
  const components = ['"@method"', '"@path"', '"@query"'];
  const values = [request.method, request.path, '?' + request.query];
  for (const name in fields) {
    components.push('"' + name + '"');
    values.push(fields[name] as string);
  }
  const params = signatureParams(components, request.keyId, request.nonce);
  fields[HEADER_SIGNATURE_INPUT] = SIGNATURE_START + params;
  const signature = SIGNATURE_START + mac(signatureBase(components, values, params));
  fields[HEADER_SIGNATURE] = signature;
  return signature;
}
