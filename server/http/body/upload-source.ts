import type { IncomingMessage } from 'node:http';
import { UPLOAD_FIELDS, type UploadFieldName, type UploadFields } from '../../domain/upload/upload-options.ts';
import { FuselinkError } from '../../usecases/error.ts';
import type { UploadSource } from '../../usecases/upload/receive-upload.ts';
import type { Admitting } from '../continue.ts';
import { announcedDigest, headerText, oneHeader } from './header-text.ts';
import { openMultipart } from './multipart.ts';
import { announcedBytes, requestBytes } from './request-body.ts';

/** An upload as it came: `multipart/form-data`, or the file as the body with everything else in headers. */
export async function uploadSource(
  req: IncomingMessage,
  options: { filename?: string | undefined; admitting: Admitting; bytesMax: number },
): Promise<UploadSource> {
  const type = oneHeader(req.headers['content-type']) ?? '';
  refuseEncoded(req);
  const fields = headerFields(req);
  if (options.filename !== undefined) fields.filename = options.filename;
  const common = {
    idempotencyKey: oneHeader(req.headers['idempotency-key']),
    ...options.admitting,
  };
  // The Content-Digest of a form is that of the form, not of the file in it.
  const formSha256 = announcedDigest(req.headers, ['repr-digest']);
  if (/^\s*multipart\//i.test(type))
    return openMultipart(req, { ...common, announcedSha256: formSha256, fields, bytesMax: options.bytesMax });

  if (type !== '' && fields.content_type === undefined) fields.content_type = type;
  const bytes = announcedBytes(req);
  return {
    ...common,
    announcedSha256: announcedDigest(req.headers, ['repr-digest', 'content-digest']),
    bytes,
    bytesHint: bytes,
    fieldsBefore: fields,
    fieldsAfter: () => fields,
    body: requestBytes(req),
  };
}

/** `X-Filename`, `X-Recipient`, `X-TTL` and their kin. */
export function headerFields(req: IncomingMessage): UploadFields {
  const fields: UploadFields = {};
  for (const field of UPLOAD_FIELDS) {
    const text = headerText(oneHeader(req.headers[headerOf(field)]));
    if (text !== undefined) fields[field] = text;
  }
  return fields;
}

export function headerOf(field: UploadFieldName): string {
  return `x-${field.replaceAll('_', '-')}`;
}

/** A compressed body would be stored as it is and surprise its reader; there is no telling which was meant. */
function refuseEncoded(req: IncomingMessage): void {
  const encoding = oneHeader(req.headers['content-encoding'])?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity' || encoding === '') return;
  throw new FuselinkError(
    'unsupported_media_type',
    `Expected no Content-Encoding, got "${encoding.slice(0, 40).replace(/[^\x20-\x7e]/g, '?')}": send the file as it is (a .gz file with its name).`,
  );
}
