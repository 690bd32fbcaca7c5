import { type Fields, hmacSha256, type SlotRecord, signRequest, verifiedFields } from '#sdk/core';
import { ANSWERING_LABEL, DEVICE_SECRET_LABEL, HEADER_NONCE, SIGNING_LABEL, signatureKeyId } from '#sdk/protocol';
import { exchange } from './exchange.ts';
import { fromAscii, sha256, toAscii, toHex } from './native.ts';
import type { NativeE, Server } from './platform.ts';

declare const E: NativeE;
declare const getTime: () => number;
declare const btoa: (bytes: string) => string;

/**
 * What came of a request. `status`: 0 where nothing came; of what nobody vouches for only a 401 is told. `told`: the fields
 * that the signature vouches for, null where there is none. `json`: the body, likewise. `code`: of a problem, or ''.
 */
export type Heard = (status: number, code: string, told: Fields | null, json: Fields) => void;

/** Nonces that are tried for one request: the first of a boot, and two that had grown stale. */
const TRIES_MAX = 3;

let nonce = '';
/** The number in the first nonce that the server took: it rises from boot to boot, without a count in flash. */
let boot = 0;
let taken = false;
/** What no other boot is likely to have: the moment in which the first nonce came, to the microsecond. */
let tag = '';
let sequence = 0;

function hmac(key: Uint8Array, text: string): Uint8Array {
  return hmacSha256(sha256, key, fromAscii(text));
}

/** A key of D: HMAC-SHA-256(D, label). */
export function derivedKey(key: SlotRecord, label: string): Uint8Array {
  return hmac(hmac(key.key.bytes(), DEVICE_SECRET_LABEL), label);
}

function base64(bytes: Uint8Array): string {
  return ':' + btoa(toAscii(bytes)) + ':';
}

function digestOf(body: string): string {
  return 'sha-256=' + base64(sha256(fromAscii(body)));
}

/** Where the device is in its life, with texts before each part: as a header, a report and a name have it. */
export function position(beforeBoot: string, beforeSequence: string, beforeTag: string): string {
  return beforeBoot + boot + beforeSequence + sequence + beforeTag + tag;
}

/**
 * One request under this key, with a nonce of the server; the first of a boot, and one with a stale nonce, takes two.
 * `make` says in `server` what is asked, adds its fields, and returns the body; it is asked when the nonce is there, so
 * that it can tell the device's position.
 */
export function call(
  server: Server,
  key: SlotRecord,
  phase: string,
  make: (fields: Fields) => string,
  done: Heard,
): void {
  let tries = 0;
  const macUnder = (label: string) => (text: string) => base64(hmac(derivedKey(key, label), text));
  const attempt = function (): void {
    const fields: Fields = {};
    let body = '';
    sequence++;
    server.method = 'GET';
    // What brings a nonce and nothing else.
    server.path = '/v1/device';
    if (nonce) body = make(fields);
    fields['content-digest'] = digestOf(body);
    fields['fuselink-device'] = position('boot=', ';seq=', ';tag=') + ';phase=' + phase;
    const signature = signRequest(
      macUnder(SIGNING_LABEL),
      {
        method: server.method,
        path: server.path,
        query: '',
        keyId: signatureKeyId(server.device, key.fingerprint),
        nonce: nonce,
      },
      fields,
    );
    nonce = '';
    fields['Content-Length'] = '' + body.length;
    server.headers = fields;
    exchange(server, body, (status, headers, content) => {
      const told = verifiedFields(macUnder(ANSWERING_LABEL), signature, status, headers, digestOf(content));
      const json: Fields = told && content ? JSON.parse(content) : {};
      const code = json['code'] || '';
      const stale = code.indexOf('nonce_') === 0;
      // A nonce that was good was used in no other boot: its number is this one's.
      if (told && !stale) taken = true;
      // Whoever sent the next: a wrong one costs a round trip, and nothing else can.
      nonce = headers[HEADER_NONCE] || '';
      if (!taken) boot = parseInt(nonce, 10) || 0;
      if (!tag) tag = toHex(sha256(fromAscii(nonce + E.hwRand() + getTime()))).substring(0, 8);
      if (nonce && stale && ++tries < TRIES_MAX) attempt();
      else done(told || status === '401' ? +status : 0, code, told, json);
    });
  };
  attempt();
}
