import type { IncomingHttpHeaders } from 'node:http';
import type { AnswerEvent, LinkAnswer, RequestKind } from '#sdk/core';
import type { HttpAnswer } from '../http/transport.ts';

/** What of an answer the uploader decides by; number, time, chance and source are added by the driver. */
export type AnswerFacts = Omit<AnswerEvent, 'type' | 'request' | 'nowMs' | 'random' | 'sent'>;

function header(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}

/** A non-negative whole number, or null: `-1`, `1e3`, `0x1` and `` are not offsets. */
export function wholeNumber(text: string | null): number | null {
  if (text === null || !/^\d{1,15}$/.test(text)) return null;
  return Number(text);
}

/**
 * `Retry-After` in ms (RFC 9110 §10.2.3). A date is counted from the answer's own `Date`: the device's clock may be
 * years off.
 */
export function retryAfterMs(headers: IncomingHttpHeaders): number | null {
  const text = header(headers, 'retry-after');
  if (text === null) return null;
  const seconds = wholeNumber(text.trim());
  if (seconds !== null) return seconds * 1000;
  const until = Date.parse(text);
  const now = Date.parse(header(headers, 'date') ?? '');
  return Number.isNaN(until) || Number.isNaN(now) ? null : Math.max(0, until - now);
}

/** SHA-256 of a `Repr-Digest` (RFC 9530) as hex, or null. */
export function reprDigest(headers: IncomingHttpHeaders): string | null {
  const found = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/.exec(header(headers, 'repr-digest') ?? '');
  return found?.[1] === undefined ? null : Buffer.from(found[1], 'base64').toString('hex');
}

/** The same digest for a request. */
export function reprDigestField(sha256Hex: string): string {
  return `sha-256=:${Buffer.from(sha256Hex, 'hex').toString('base64')}:`;
}

function rateLimit(headers: IncomingHttpHeaders): { remaining: number | null; resetMs: number | null } {
  const text = header(headers, 'ratelimit') ?? '';
  const remaining = wholeNumber(/"uploads"[^,]*;\s*r=(\d+)/.exec(text)?.[1] ?? null);
  const seconds = wholeNumber(/"uploads"[^,]*;\s*t=(\d+)/.exec(text)?.[1] ?? null);
  return { remaining, resetMs: seconds === null ? null : seconds * 1000 };
}

/** The JSON object of a body, or null for everything else (an HTML page, nothing, a list). */
export function jsonObject(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

function linkOfBody(body: Record<string, unknown> | null): LinkAnswer | null {
  if (body === null || text(body['id']) === null || !('url' in body)) return null;
  const size = body['size'];
  return {
    id: text(body['id']) ?? '',
    url: text(body['url']),
    state: text(body['state']) ?? 'ready',
    expiresAt: text(body['expires_at']),
    sizeBytes: typeof size === 'number' ? size : null,
    sha256: text(body['sha256'])?.toLowerCase() ?? null,
  };
}

/** `Expires` of a finished upload is when its link ends (RFC 9110 §5.6.7); as RFC 3339, like everywhere else. */
function expiryOf(headers: IncomingHttpHeaders): string | null {
  const ms = Date.parse(header(headers, 'expires') ?? '');
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

function linkOfHeaders(headers: IncomingHttpHeaders): LinkAnswer | null {
  const id = header(headers, 'fuselink-id');
  if (id === null) return null;
  const url = header(headers, 'fuselink-url');
  return {
    id,
    url,
    state: header(headers, 'fuselink-state') ?? (url === null ? 'burned' : 'ready'),
    expiresAt: expiryOf(headers),
    sizeBytes: wholeNumber(header(headers, 'upload-length') ?? header(headers, 'upload-offset')),
    sha256: reprDigest(headers),
  };
}

/** Code and detail of an RFC 9457 problem; a code of null means that it is not one of ours. */
export function problemOf(answer: HttpAnswer): { code: string | null; detail: string; fingerprint: string | null } {
  const body = jsonObject(answer.body);
  const code = text(body?.['code']);
  const detail = text(body?.['detail']) ?? text(body?.['title']) ?? `the server answered ${answer.status}`;
  return { code, detail, fingerprint: text(body?.['fingerprint']) };
}

/** An answer in the uploader's terms. */
export function readAnswer(kind: RequestKind, answer: HttpAnswer): AnswerFacts {
  const success = answer.status >= 200 && answer.status < 300;
  const problem = success ? { code: null, detail: '', fingerprint: null } : problemOf(answer);
  const tus = kind === 'probe' || kind === 'patch';
  let link: LinkAnswer | null = null;
  if (success && kind === 'one-shot') link = linkOfBody(jsonObject(answer.body));
  if (success && tus) link = linkOfHeaders(answer.headers);
  return {
    status: answer.status,
    ...problem,
    retryAfterMs: retryAfterMs(answer.headers),
    location: success && kind === 'create' ? header(answer.headers, 'location') : null,
    offsetBytes: success && tus ? wholeNumber(header(answer.headers, 'upload-offset')) : null,
    link,
    ...rateLimit(answer.headers),
  };
}
