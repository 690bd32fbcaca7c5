/*
 * Signed requests: how a device that cannot verify a TLS certificate proves which key it holds without sending it, and
 * how it knows that an answer is the server's own (RFC 9421, hmac-sha256). Every byte: sdk/SIGNED.md; vectors:
 * test/conformance/vectors/signed-requests.json.
 */

/** Keys derived from D (HMAC-SHA-256(D, label)): the device signs with the first, the server answers with the second. */
export const SIGNING_LABEL = 'fuselink sign v1';
export const ANSWERING_LABEL = 'fuselink answer v1';
/** Links go back to a signed request wrapped under HMAC-SHA-256(D, this), by AES key wrap, or not at all. */
export const LINK_WRAP_LABEL = 'fuselink link v1';

/** Lower-case, as Node delivers them. */
export const HEADER_SIGNATURE_INPUT = 'signature-input';
export const HEADER_SIGNATURE = 'signature';
export const HEADER_CONTENT_DIGEST = 'content-digest';
/** In every answer to a signed request, and in its refusal: the nonce of the next one. */
export const HEADER_NONCE = 'fuselink-nonce';
/** 40 bytes in hex: the 32 bytes of a link's token, wrapped. The link is `/get/` and those 32 bytes in base64url. */
export const HEADER_WRAPPED_LINK = 'fuselink-wrapped-link';

/** Signed bodies are read whole before anything is done with them, so they are small. The SDKs send far less. */
export const SIGNED_BODY_BYTES_MAX = 65536;

/** How long a nonce may wait for its request. */
export const NONCE_SECONDS = 900;
/** A `created` that is further than this from the server's time is refused. Devices send none: their clocks are nonsense. */
export const SIGNATURE_SKEW_SECONDS = 300;

/** The start of both header fields: the signature's label. */
export const SIGNATURE_START = 'fl=';
export const SIGNATURE_START_CHARS = 3;
/** What every request's signature covers, before the fields it covers by name. */
export const REQUEST_COVERS = ['@method', '@path', '@query', 'content-digest'];
/** How every answer's components begin: the first is the request's own signature, which binds the answer to it alone. */
export const ANSWER_COVERS_START = 'fl=("signature";req;key="fl" "@status" "content-digest"';

/** Fields a request means something by: where one is sent, the signature must cover it. */
export const SIGNED_REQUEST_HEADERS = [
  'content-encoding',
  'content-type',
  'fuselink-device',
  'idempotency-key',
  'repr-digest',
  'tus-resumable',
  'upload-checksum',
  'upload-defer-length',
  'upload-length',
  'upload-metadata',
  'upload-offset',
  'x-attempts-max',
  'x-burn',
  'x-content-type',
  'x-device',
  'x-filename',
  'x-http-method-override',
  'x-lease-seconds',
  'x-note',
  'x-receipt-ttl',
  'x-recipient',
  'x-require-claim',
  'x-ttl',
];

/** Fields an answer tells something by: where one is sent, the signature covers it, in this order. */
export const SIGNED_ANSWER_HEADERS = [
  'fuselink-nonce',
  'fuselink-rotation',
  'fuselink-wrapped-link',
  'fuselink-id',
  'idempotency-replayed',
  'location',
  'repr-digest',
  'retry-after',
  'upload-length',
  'upload-offset',
  'www-authenticate',
];

/** `keyid` of a signature: which key of which device. */
export function signatureKeyId(deviceId: string, fingerprint: string): string {
  return deviceId + ':' + fingerprint;
}

/** A component list and its parameters. `nonce` is '' for the request that asks for the first one. */
export function signatureParams(components: string, keyId: string, nonce: string): string {
  return '(' + components + ');keyid="' + keyId + '";alg="hmac-sha256";nonce="' + nonce + '"';
}

/**
 * The signature base [RFC 9421 §2.5]: a line a component and the parameters. `components` are as they stand in the
 * list, with their quotes; `params` is all that follows `fl=` in Signature-Input.
 */
export function signatureBase(components: string[], values: string[], params: string): string {
  let base = '';
  for (let i = 0; i < components.length; i++) base += components[i] + ': ' + values[i] + '\n';
  return base + '"@signature-params": ' + params;
}
