import { REQUEST_COVERS, SIGNATURE_START, signatureBase, signatureParams } from '#sdk/protocol';

/** A field of a message as it goes over the wire: ASCII, no white space around the value. */
export interface Field {
  name: string;
  value: string;
}

export interface RequestToSign {
  method: string;
  /** Path and query as in the request line. */
  target: string;
  /** `sha-256=:base64:` of the body: the value of Content-Digest. */
  contentDigest: string;
  /** Every other field that is signed: see SIGNED_REQUEST_HEADERS. Names in lower case. */
  fields: Field[];
  /** `device:fingerprint`. */
  keyId: string;
  /** The last one told, '' for none. */
  nonce: string;
}

/** Makes `:base64:` of HMAC-SHA-256 over ASCII text, under the signing or the answering key of one device key. */
export type MacOfText = (text: string) => string;

/** The values of Signature-Input and Signature for a request. `mac`: under the signing key. */
export function signRequest(mac: MacOfText, request: RequestToSign): { input: string; signature: string } {
  const query = request.target.indexOf('?');
  const path = query < 0 ? request.target : request.target.substring(0, query);
  const values = [request.method, path, query < 0 ? '?' : request.target.substring(query), request.contentDigest];
  const components: string[] = [];
  for (let i = 0; i < REQUEST_COVERS.length; i++) components.push('"' + REQUEST_COVERS[i] + '"');
  for (let i = 0; i < request.fields.length; i++) {
    const field = request.fields[i] as Field;
    components.push('"' + field.name + '"');
    values.push(field.value);
  }
  const params = signatureParams(components, request.keyId, request.nonce);
  return {
    input: SIGNATURE_START + params,
    signature: SIGNATURE_START + mac(signatureBase(components, values, params)),
  };
}
