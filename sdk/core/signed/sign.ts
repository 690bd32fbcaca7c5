import {
  HEADER_SIGNATURE,
  HEADER_SIGNATURE_INPUT,
  SIGNATURE_START,
  SIGNATURE_START_CHARS,
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

/** The Signature field of a message. `base`: its lines before the last, which is all that follows `fl=` in Signature-Input. */
export function signatureOver(mac: MacOfText, base: string, input: string): string {
  base += '"@signature-params": ';
  base += input.substring(SIGNATURE_START_CHARS);
  return SIGNATURE_START + mac(base);
}

/**
 * Signs a request: adds Signature-Input and Signature to `fields`, which holds Content-Digest and every other field that
 * is to be covered (SIGNED_REQUEST_HEADERS), in this order. `mac`: under the signing key. Returns the Signature.
 *
 * Grows the two texts as it goes, in place where the interpreter can: on a small device their parts as well would be
 * half of what it has.
 */
export function signRequest(mac: MacOfText, request: RequestToSign, fields: Fields): string {
  let names = '"@method" "@path" "@query"';
  let base = '"@method": ' + request.method + '\n"@path": ' + request.path + '\n"@query": ?' + request.query + '\n';
  for (const name in fields) {
    names += ' "' + name + '"';
    base += '"' + name + '": ' + fields[name] + '\n';
  }
  const input = SIGNATURE_START + signatureParams(names, request.keyId, request.nonce);
  const signature = signatureOver(mac, base, input);
  fields[HEADER_SIGNATURE_INPUT] = input;
  fields[HEADER_SIGNATURE] = signature;
  return signature;
}
