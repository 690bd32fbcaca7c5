import type { IncomingMessage } from 'node:http';
import { parseRange } from '../../domain/reading/range-header.ts';
import { FuselinkError } from '../../usecases/error.ts';
import type { FoundLink } from '../../usecases/read/find-link.ts';
import { attachment, digestHeader, oneHeader } from '../body/header-text.ts';

/** A strong validator: one link has one file for all its life. */
export function entityTag(row: FoundLink['row']): string {
  return `"${row.id.slice(0, 22)}"`;
}

/** Headers that describe the file, on GET and HEAD alike. */
export function fileHeaders(link: FoundLink): Record<string, string> {
  return {
    'content-type': link.meta.contentType,
    'content-disposition': attachment(link.meta.filename),
    'accept-ranges': 'bytes',
    etag: entityTag(link.row),
    // What is served is somebody else's upload: it must never run in our origin.
    'content-security-policy': "sandbox; default-src 'none'",
    ...(link.meta.sha256 === null ? {} : { 'repr-digest': digestHeader(link.meta.sha256) }),
  };
}

export interface WantedRange {
  from: number;
  to: number;
  partial: boolean;
  /** No end was named: the reader wants all the rest. */
  openEnded: boolean;
}

/** The range a request asks for; `If-Range` with another validator asks for the whole. Throws `range_not_satisfiable`. */
export function wantedRange(req: IncomingMessage, size: number, tag: string): WantedRange {
  const ifRange = oneHeader(req.headers['if-range'])?.trim();
  const header = ifRange !== undefined && ifRange !== tag ? undefined : oneHeader(req.headers.range);
  const range = parseRange(header, size);
  if (range.kind === 'whole') return { from: 0, to: size, partial: false, openEnded: true };
  if (range.kind === 'part') {
    return { from: range.from, to: range.to, partial: true, openEnded: range.openEnded };
  }
  throw new FuselinkError('range_not_satisfiable', `Expected a range within ${size} bytes, got another.`, {
    headers: { 'content-range': `bytes */${size}` },
  });
}

/** Status and length headers of an answer to that range. */
export function rangeHeaders(
  range: WantedRange,
  size: number,
): { status: 200 | 206; headers: Record<string, string | number> } {
  const length = { 'content-length': range.to - range.from };
  if (!range.partial) return { status: 200, headers: length };
  return { status: 206, headers: { ...length, 'content-range': `bytes ${range.from}-${range.to - 1}/${size}` } };
}
