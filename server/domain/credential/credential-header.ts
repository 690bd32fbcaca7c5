import { describeMalformedKey, keyBytesOf } from './api-key.ts';

/** What a request carries to say who it is from. Texts are secret: they never enter messages. */
export interface CredentialHeaders {
  authorization: string | undefined;
  xApiKey: string | undefined;
  sessionCookie: string | undefined;
}

export type Credential =
  | { kind: 'key'; bytes: Uint8Array }
  | { kind: 'jwt'; text: string }
  | { kind: 'session'; text: string };

export type CredentialOutcome =
  /** `beside`: a session cookie that came with a JWT. They must be the same sign-in. */
  | { ok: true; credential: Credential; beside?: Credential }
  | { ok: false; code: 'credentials_missing' | 'credentials_malformed' | 'credentials_ambiguous'; detail: string };

const HOW = 'send "Authorization: Bearer <key>", "Authorization: <key>" or "X-API-Key: <key>"';

/**
 * Finds the one credential of a request: `Authorization: Bearer <key|jwt>`, `Authorization: <key|jwt>`,
 * `X-API-Key: <key>` or the session cookie. The same key said twice is fine; two different ones are refused. A
 * session cookie beside an API key is ambiguous as well: a browser adds it without being asked. A cookie beside a JWT
 * may be of the same sign-in (a client with a cookie jar sends both), which only the store can tell.
 */
export function readCredential(headers: CredentialHeaders): CredentialOutcome {
  const found: Credential[] = [];
  for (const said of [
    fromAuthorization(headers.authorization),
    fromApiKey(headers.xApiKey),
    fromCookie(headers.sessionCookie),
  ]) {
    if (said === null) continue;
    if (!said.ok) return said;
    found.push(said.credential);
  }
  const [first, ...others] = found;
  if (first === undefined) return { ok: false, code: 'credentials_missing', detail: `No credential was sent: ${HOW}.` };
  const beside = others.find((other) => other.kind === 'session');
  if (first.kind === 'jwt' && beside !== undefined && others.length === 1) {
    return { ok: true, credential: first, beside };
  }
  if (others.some((other) => textOf(other) !== textOf(first))) {
    return {
      ok: false,
      code: 'credentials_ambiguous',
      detail: 'Two different credentials were sent: send exactly one.',
    };
  }
  return { ok: true, credential: first };
}

function textOf(credential: Credential): string {
  return credential.kind === 'key' ? `key ${credential.bytes.join(' ')}` : `${credential.kind} ${credential.text}`;
}

function malformed(detail: string): CredentialOutcome {
  return { ok: false, code: 'credentials_malformed', detail };
}

function fromAuthorization(header: string | undefined): CredentialOutcome | null {
  if (header === undefined) return null;
  const value = header.trim();
  if (value === '') return malformed(`The Authorization header is empty: ${HOW}.`);
  const scheme = /^([A-Za-z][A-Za-z0-9-]*)[ \t]+(.*)$/.exec(value);
  if (scheme === null) {
    if (/^bearer$/i.test(value)) return malformed('"Authorization: Bearer" has no key behind it.');
    if (/^bearer[:=,]/i.test(value)) return malformed('Expected a space after "Bearer", got another character.');
    // "Bearer" glued to what would be a key or token: the most common slip of small HTTP clients.
    if (/^bearer/i.test(value)) return malformed('Expected a space after "Bearer", got none.');
    return tokenOrKey(value, 'The Authorization header');
  }
  const [, name = '', rest = ''] = scheme;
  if (!/^bearer$/i.test(name)) {
    return malformed(`Expected the scheme "Bearer" (or the bare key), got "${name.slice(0, 20)}".`);
  }
  return tokenOrKey(rest.trim(), 'Behind "Bearer"');
}

function tokenOrKey(text: string, where: string): CredentialOutcome {
  const bytes = keyBytesOf(text);
  if (bytes !== null) return { ok: true, credential: { kind: 'key', bytes } };
  if (/^ey[\w-]*\.[\w-]+\.[\w-]+$/.test(text)) return { ok: true, credential: { kind: 'jwt', text } };
  return malformed(`${where}: ${describeMalformedKey(text)}.`);
}

function fromApiKey(header: string | undefined): CredentialOutcome | null {
  if (header === undefined) return null;
  const text = header.trim();
  const bytes = keyBytesOf(text);
  if (bytes !== null) return { ok: true, credential: { kind: 'key', bytes } };
  if (/^bearer\s/i.test(text)) return malformed('X-API-Key takes the bare key, got it with "Bearer" in front.');
  return malformed(`X-API-Key: ${describeMalformedKey(text)}.`);
}

function fromCookie(cookie: string | undefined): CredentialOutcome | null {
  if (cookie === undefined || cookie === '') return null;
  return { ok: true, credential: { kind: 'session', text: cookie } };
}
