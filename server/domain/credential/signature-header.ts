import {
  type ErrorCode,
  HEADER_CONTENT_DIGEST,
  HEADER_SIGNATURE,
  HEADER_SIGNATURE_INPUT,
  REQUEST_COVERS,
  SIGNATURE_SKEW_SECONDS,
  SIGNED_REQUEST_HEADERS,
  signatureBase,
} from '#sdk/protocol';
import type { DeviceId } from '../ids.ts';

/** A request as it came, as far as a signature may cover it. `fields`: name and value in turn, as Node's rawHeaders. */
export interface SignableRequest {
  method: string;
  /** Request target as sent: path and query. */
  target: string;
  fields: readonly string[];
}

/** A signature that has the form of one and covers what it must; whether it holds is not known yet. */
export interface RequestSignature {
  deviceId: DeviceId;
  /** 16 hex characters. */
  fingerprint: string;
  keyId: string;
  nonce: string;
  /** What is signed [RFC 9421 §2.5]. */
  base: string;
  /** 32 bytes as they stand: `:base64:`. */
  signature: string;
  /** base64 of the body's SHA-256 as announced. */
  bodySha256: string;
  created: number | null;
  expires: number | null;
}

export type SignatureOutcome =
  | { ok: true; signature: RequestSignature }
  | { ok: false; code: ErrorCode; detail: string; keyId: string | null };

/** Components one signature may list. */
const COMPONENTS_MAX = 40;
const FORM = /^fl=(\(([^()]*)\)((?:;[a-z]+=(?:"[^"\\]*"|\d{1,15}))*))$/;
const COMPONENT = /^"(@method|@path|@query|[a-z0-9-]{1,64})"$/;
const KEY_ID = /^([\w-]{1,64}):([0-9a-f]{16})$/;
const SHA256_BASE64 = '[A-Za-z0-9+/]{43}=';

/** Whether a request speaks of a signature of ours: another machine may have put one of its own on the way. */
export function isSigned(signatureInput: string | undefined): boolean {
  return signatureInput !== undefined && /(?:^|,\s*)fl=/.test(signatureInput);
}

/** Reads the signature of a request (sdk/SIGNED.md §2) and what it covers. Pure: the key is somebody else's to know. */
export function readSignature(request: SignableRequest): SignatureOutcome {
  const input = fieldValue(request.fields, HEADER_SIGNATURE_INPUT) ?? '';
  const form = FORM.exec(input);
  const keyId = /;keyid="([^"\\]{1,100})"/.exec(input)?.[1] ?? null;
  const refuse = (code: ErrorCode, detail: string): SignatureOutcome => ({ ok: false, code, detail, keyId });
  if (form === null) {
    return refuse(
      'signature_malformed',
      'Signature-Input: expected fl=("@method" …);keyid="…";nonce="…", got something else.',
    );
  }
  const [, params = '', list = '', tail = ''] = form;
  const said = Object.fromEntries(
    [...tail.matchAll(/;([a-z]+)=(?:"([^"]*)"|(\d+))/g)].map((m) => [m[1], m[2] ?? m[3]]),
  );
  const named = KEY_ID.exec(said['keyid'] ?? '');
  if (named === null) {
    return refuse(
      'signature_malformed',
      'keyid: expected a device id, a colon and 16 hex characters, got something else.',
    );
  }
  if ((said['alg'] ?? 'hmac-sha256') !== 'hmac-sha256') {
    return refuse('signature_malformed', 'alg: expected hmac-sha256, got another.');
  }
  const signature = new RegExp(`^fl=(:${SHA256_BASE64}:)$`).exec(fieldValue(request.fields, HEADER_SIGNATURE) ?? '');
  if (signature === null) {
    return refuse('signature_malformed', 'Signature: expected fl=:…: with 32 bytes in base64, got something else.');
  }
  const components = list === '' ? [] : list.split(' ');
  const names = components.map((component) => COMPONENT.exec(component)?.[1] ?? null);
  if (names.length > COMPONENTS_MAX || names.includes(null) || new Set(names).size < names.length) {
    return refuse(
      'signature_malformed',
      `Expected up to ${COMPONENTS_MAX} component names in quotes, each once and without parameters.`,
    );
  }
  const uncovered = [
    ...REQUEST_COVERS,
    ...SIGNED_REQUEST_HEADERS.filter((name) => fieldValue(request.fields, name) !== null),
  ].filter((name) => !names.includes(name));
  if (uncovered.length > 0) {
    return refuse('signature_incomplete', `Expected the signature to cover ${uncovered.join(', ')} too.`);
  }
  const values = names.map((name) => componentValue(request, name ?? ''));
  const absent = names.filter((_, i) => values[i] === null);
  if (absent.length > 0) {
    return refuse(
      'signature_incomplete',
      `Expected what the signature covers to be sent, got no ${absent.join(', ')}.`,
    );
  }
  const digest = new RegExp(`^sha-256=:(${SHA256_BASE64}):$`).exec(
    fieldValue(request.fields, HEADER_CONTENT_DIGEST) ?? '',
  );
  if (digest === null) {
    return refuse(
      'signature_malformed',
      'Content-Digest: expected sha-256=:…: with 32 bytes in base64, got something else.',
    );
  }
  return {
    ok: true,
    signature: {
      deviceId: named[1] as DeviceId,
      fingerprint: named[2] ?? '',
      keyId: said['keyid'] ?? '',
      nonce: said['nonce'] ?? '',
      base: signatureBase(components, values as string[], params),
      signature: signature[1] ?? '',
      bodySha256: digest[1] ?? '',
      created: said['created'] === undefined ? null : Number(said['created']),
      expires: said['expires'] === undefined ? null : Number(said['expires']),
    },
  };
}

/** What is wrong with the times of a signature, or null. Devices leave them out: their clocks are nonsense. */
export function clockFault(signature: RequestSignature, nowMs: number): string | null {
  const now = Math.floor(nowMs / 1000);
  const { created, expires } = signature;
  if (expires !== null && expires < now)
    return `expires: expected a time that is to come, got one ${now - expires} s ago`;
  if (created !== null && Math.abs(created - now) > SIGNATURE_SKEW_SECONDS) {
    return `created: expected none, or one within ${SIGNATURE_SKEW_SECONDS} s of the server's time, got one ${Math.abs(created - now)} s off`;
  }
  return null;
}

function componentValue({ method, target, fields }: SignableRequest, name: string): string | null {
  const mark = target.indexOf('?');
  switch (name) {
    case '@method':
      return method;
    case '@path':
      return mark < 0 ? target : target.slice(0, mark);
    case '@query':
      return mark < 0 ? '?' : target.slice(mark);
    default:
      return fieldValue(fields, name);
  }
}

/** All values of a field, trimmed and joined [RFC 9421 §2.1]; null where it was not sent. */
function fieldValue(fields: readonly string[], name: string): string | null {
  const values: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() === name) values.push((fields[i + 1] ?? '').trim());
  }
  return values.length === 0 ? null : values.join(', ');
}
