import { type Fields, hmacSha256, type SlotRecord, signRequest, unwrapKey, verifiedFields } from '#sdk/core';
import {
  ANSWERING_LABEL,
  DEVICE_SECRET_LABEL,
  HEADER_NONCE,
  OFFER_WRAP_LABEL,
  SIGNING_LABEL,
  signatureKeyId,
} from '#sdk/protocol';
import { decryptBlock, fromHex, sha256, toAscii } from './native.ts';
import { server } from './server.ts';

declare const btoa: (bytes: string) => string;

/** What came of a request. Nothing but a 401 and the nonce is told of what nobody vouches for. */
export interface Answer {
  /** 0 where nothing came. */
  status: number;
  /** The nonce of the next request, whoever sent it: a wrong one costs a round trip, and nothing else can. */
  nonce: string;
  /** The fields that the signature vouches for, null where there is none. What follows is from a body that it vouches for. */
  told: Fields | null;
  /** `code` and `fingerprint` of a problem, or ''. */
  code: string;
  named: string;
  /** An offered key and its generation. */
  key: Uint8Array | null;
  generation: number;
}

/** Signature of the request that is out, or was last. */
let signature = '';

/** `text`: a character a byte. The interpreter joins it to bytes as it is, so it need not lie in RAM as bytes as well. */
function hmac(key: Uint8Array, text: string): Uint8Array {
  return hmacSha256(sha256, key, text as unknown as Uint8Array);
}

/** A key of D: HMAC-SHA-256(D, label). */
function derivedKey(key: SlotRecord, label: string): Uint8Array {
  return hmac(hmac(key.key.bytes(), DEVICE_SECRET_LABEL), label);
}

function base64(bytes: Uint8Array): string {
  return ':' + btoa(toAscii(bytes)) + ':';
}

/**
 * Without a `status` it signs the request that `server` describes; with one it reads the answer. Nothing else works with keys, so
 * while an answer is checked the rest of the module need not lie in RAM.
 */
export function vouch(key: SlotRecord, status: string, headers: Fields, content: string): Answer | null {
  const digest = 'sha-256=' + base64(sha256(content));
  const mac = (text: string) => base64(hmac(derivedKey(key, status ? ANSWERING_LABEL : SIGNING_LABEL), text));
  if (!status) {
    headers['content-digest'] = digest;
    const made = signRequest(
      mac,
      {
        method: server.method,
        path: server.path,
        query: '',
        keyId: signatureKeyId(server.device, key.fingerprint),
        nonce: server.nonce,
      },
      headers,
    );
    signature = made;
    headers['Content-Length'] = '' + content.length;
    return null;
  }
  const told = verifiedFields(mac, signature, status, headers, digest);
  /** What stands behind a name. The server writes no space, and nothing that stands in a text looks like a name. */
  const after = (name: string) => (told && content.split('"' + name + '":')[1]) || '';
  const word = (name: string) => after(name).split('"')[1] || '';
  const wrapped = word('wrapped_key');
  return {
    status: told || status === '401' ? +status : 0,
    nonce: headers[HEADER_NONCE] || '',
    told: told,
    code: word('code'),
    named: word('fingerprint'),
    key: wrapped ? unwrapKey(decryptBlock, derivedKey(key, OFFER_WRAP_LABEL), fromHex(wrapped)) : null,
    generation: parseInt(after('generation'), 10),
  };
}
