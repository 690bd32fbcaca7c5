import type { UploadEffect } from '#sdk/core';
import {
  HEADER_BURN,
  HEADER_FILENAME,
  HEADER_IDEMPOTENCY_KEY,
  HEADER_NOTE,
  HEADER_RECIPIENT,
  HEADER_TTL,
} from '#sdk/protocol';
import { FuselinkError } from '../errors.ts';

export type RequestEffect = Extract<UploadEffect, { type: 'request' }>;

/** What a transfer is called, whom it is for, and how long it lives. */
export interface TransferOptions {
  filename: string;
  contentType: string;
  recipient: string | null;
  ttlSeconds: number | null;
  note: string | null;
  burn: 'on-delivery' | 'on-first-byte' | null;
}

/** Text as a header value: what is not plain ASCII, and `%` itself, goes percent-encoded as UTF-8. */
export function headerText(value: string): string {
  // By way of UTF-8, so that half a surrogate pair becomes U+FFFD instead of an exception.
  const sound = Buffer.from(value, 'utf8').toString('utf8');
  return sound.replace(/[^\x20-\x24\x26-\x7e]|^ | $/gu, encodeURIComponent);
}

/** `path` below the server's address, which may itself have a path (a relay behind a prefix). */
export function apiUrl(base: URL, path: string): URL {
  const prefix = base.pathname.replace(/\/+$/, '');
  return new URL(`${prefix}${path}`, base.origin);
}

/**
 * A `Location` as this client may use it: only its path counts, on the server's own origin, so that no answer can
 * send the key or the bytes elsewhere.
 */
export function locationUrl(base: URL, location: string): URL {
  let found: URL;
  try {
    found = new URL(location, base);
  } catch {
    throw new FuselinkError('not_fuselink', 'the Location of the upload is not a URL');
  }
  const prefix = base.pathname.replace(/\/+$/, '');
  const path =
    prefix !== '' && found.pathname.startsWith(`${prefix}/`) ? found.pathname.slice(prefix.length) : found.pathname;
  const url = apiUrl(base, path);
  url.search = found.search;
  return url;
}

function metadata(options: TransferOptions): string {
  const pairs: [string, string | null][] = [
    ['filename', options.filename],
    ['filetype', options.contentType],
    ['recipient', options.recipient],
    ['ttl', options.ttlSeconds === null ? null : String(options.ttlSeconds)],
    ['note', options.note],
    ['burn', options.burn],
  ];
  return pairs
    .filter((pair): pair is [string, string] => pair[1] !== null)
    .map(([name, value]) => `${name} ${Buffer.from(value, 'utf8').toString('base64')}`)
    .join(',');
}

/** Method, URL and headers of one request of the uploader, without credentials and length. */
export function describeRequest(
  effect: RequestEffect,
  base: URL,
  options: TransferOptions,
): { method: string; url: URL; headers: Record<string, string> } {
  const tus = { 'Tus-Resumable': '1.0.0' };
  switch (effect.kind) {
    case 'one-shot': {
      const headers: Record<string, string> = {
        'Content-Type': options.contentType,
        [HEADER_FILENAME]: headerText(options.filename),
        [HEADER_IDEMPOTENCY_KEY]: effect.idempotencyKey,
      };
      if (options.recipient !== null) headers[HEADER_RECIPIENT] = headerText(options.recipient);
      if (options.ttlSeconds !== null) headers[HEADER_TTL] = String(options.ttlSeconds);
      if (options.note !== null) headers[HEADER_NOTE] = headerText(options.note);
      if (options.burn !== null) headers[HEADER_BURN] = options.burn;
      return { method: 'POST', url: apiUrl(base, '/v1/upload'), headers };
    }
    case 'create': {
      const length: Record<string, string> =
        effect.sizeBytes === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(effect.sizeBytes) };
      const headers = {
        ...tus,
        ...length,
        'Upload-Metadata': metadata(options),
        [HEADER_IDEMPOTENCY_KEY]: effect.idempotencyKey,
      };
      return { method: 'POST', url: apiUrl(base, '/v1/uploads'), headers };
    }
    case 'probe':
      return { method: 'HEAD', url: locationUrl(base, effect.location ?? ''), headers: tus };
    case 'patch': {
      const headers = {
        ...tus,
        'Content-Type': 'application/offset+octet-stream',
        'Upload-Offset': String(effect.offsetBytes),
      };
      return { method: 'PATCH', url: locationUrl(base, effect.location ?? ''), headers };
    }
    case 'remove': {
      if (effect.transferId === null)
        return { method: 'DELETE', url: locationUrl(base, effect.location ?? ''), headers: tus };
      return {
        method: 'DELETE',
        url: apiUrl(base, `/v1/transfers/${encodeURIComponent(effect.transferId)}`),
        headers: {},
      };
    }
  }
}
