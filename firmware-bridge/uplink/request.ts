import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { AnswerEvent, LinkAnswer, UploadEffect } from '#sdk/core';
import { apiUrl, type HttpAnswer, problemOf, type Transport } from '#sdk/node';
import { HEADER_ON_BEHALF } from '../relay/relay.ts';
import type { BatchFile } from './batch-files.ts';

type HttpRequest = Parameters<Transport['exchange']>[0];
export type RequestEffect = Extract<UploadEffect, { type: 'request' }>;

export interface RequestContext {
  base: URL;
  gatewayKey(): string;
  device: string;
  ttlSeconds: number;
  recipient: string | null;
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** One request of the SDK's upload machine for a file in memory, on behalf of a device. */
export function uploadRequest(effect: RequestEffect, file: BatchFile, context: RequestContext): HttpRequest {
  const headers: Record<string, string> = {
    Authorization: `Bearer ${context.gatewayKey()}`,
    [HEADER_ON_BEHALF]: context.device,
  };
  const { base } = context;
  const tus = { 'Tus-Resumable': '1.0.0' };
  const located = () => locationUrl(base, effect.location ?? '');
  switch (effect.kind) {
    case 'one-shot':
      Object.assign(headers, {
        'Content-Type': file.contentType,
        'X-Filename': file.filename,
        'X-TTL': String(context.ttlSeconds),
        'X-Note': file.note.replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent),
        'Idempotency-Key': effect.idempotencyKey,
        'Repr-Digest': `sha-256=:${Buffer.from(sha256Hex(file.bytes), 'hex').toString('base64')}:`,
        ...(context.recipient === null ? {} : { 'X-Recipient': encodeURIComponent(context.recipient) }),
      });
      return { method: 'POST', url: apiUrl(base, '/v1/upload'), headers, body: file.bytes };
    case 'create':
      Object.assign(headers, tus, {
        'Upload-Length': String(file.bytes.byteLength),
        'Upload-Metadata': metadata(file, context),
        'Idempotency-Key': effect.idempotencyKey,
      });
      return { method: 'POST', url: apiUrl(base, '/v1/uploads'), headers };
    case 'probe':
      return { method: 'HEAD', url: located(), headers: { ...headers, ...tus } };
    case 'patch': {
      const end = Math.min(file.bytes.byteLength, effect.offsetBytes + (effect.bytesMax ?? file.bytes.byteLength));
      Object.assign(headers, tus, {
        'Content-Type': 'application/offset+octet-stream',
        'Upload-Offset': String(effect.offsetBytes),
      });
      return { method: 'PATCH', url: located(), headers, body: file.bytes.subarray(effect.offsetBytes, end) };
    }
    case 'remove':
      if (effect.transferId === null) return { method: 'DELETE', url: located(), headers: { ...headers, ...tus } };
      return { method: 'DELETE', url: apiUrl(base, `/v1/transfers/${encodeURIComponent(effect.transferId)}`), headers };
  }
}

/** Only the path of a Location counts, on the server's own origin: no answer sends the key elsewhere. */
function locationUrl(base: URL, location: string): URL {
  const found = new URL(location, base);
  const url = new URL(base);
  url.pathname = found.pathname;
  url.search = found.search;
  return url;
}

function metadata(file: BatchFile, context: RequestContext): string {
  const pairs: [string, string][] = [
    ['filename', file.filename],
    ['filetype', file.contentType],
    ['ttl', String(context.ttlSeconds)],
    ['note', file.note],
  ];
  if (context.recipient !== null) pairs.push(['recipient', context.recipient]);
  return pairs.map(([name, value]) => `${name} ${Buffer.from(value, 'utf8').toString('base64')}`).join(',');
}

/** An answer in the upload machine's terms. */
export function answerFacts(
  kind: RequestEffect['kind'],
  answer: HttpAnswer,
): Omit<AnswerEvent, 'type' | 'request' | 'nowMs' | 'random' | 'sent'> {
  const { headers } = answer;
  const success = answer.status >= 200 && answer.status < 300;
  const problem = success ? { code: null, detail: '', fingerprint: null } : problemOf(answer);
  const tus = success && (kind === 'probe' || kind === 'patch');
  const link = !success ? null : kind === 'one-shot' ? linkOfBody(answer.body) : tus ? linkOfHeaders(headers) : null;
  const limit = header(headers, 'ratelimit') ?? '';
  const remaining = wholeNumber(/"uploads"[^,]*;\s*r=(\d+)/.exec(limit)?.[1]);
  const resetSeconds = wholeNumber(/"uploads"[^,]*;\s*t=(\d+)/.exec(limit)?.[1]);
  const retryAfter = wholeNumber(header(headers, 'retry-after')?.trim());
  return {
    status: answer.status,
    ...problem,
    retryAfterMs: retryAfter === null ? null : retryAfter * 1000,
    location: success && kind === 'create' ? header(headers, 'location') : null,
    offsetBytes: tus ? wholeNumber(header(headers, 'upload-offset')) : null,
    link,
    remaining,
    resetMs: resetSeconds === null ? null : resetSeconds * 1000,
  };
}

function header(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}

function wholeNumber(text: string | null | undefined): number | null {
  return text != null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function linkOfBody(bytes: Buffer): LinkAnswer | null {
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  } catch {
    return null;
  }
  const text = (name: string) => (typeof body[name] === 'string' ? (body[name] as string) : null);
  const id = text('id');
  if (id === null || !('url' in body)) return null;
  const size = typeof body['size'] === 'number' ? body['size'] : null;
  return {
    id,
    url: text('url'),
    state: text('state') ?? 'ready',
    expiresAt: text('expires_at'),
    sizeBytes: size,
    sha256: text('sha256'),
  };
}

function linkOfHeaders(headers: IncomingHttpHeaders): LinkAnswer | null {
  const id = header(headers, 'fuselink-id');
  if (id === null) return null;
  const url = header(headers, 'fuselink-url');
  const digest = /sha-256=:([A-Za-z0-9+/]{43}=):/.exec(header(headers, 'repr-digest') ?? '')?.[1];
  return {
    id,
    url,
    state: header(headers, 'fuselink-state') ?? (url === null ? 'burned' : 'ready'),
    expiresAt: null,
    sizeBytes: wholeNumber(header(headers, 'upload-length') ?? header(headers, 'upload-offset')),
    sha256: digest === undefined ? null : Buffer.from(digest, 'base64').toString('hex'),
  };
}
