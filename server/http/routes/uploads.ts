import { createHash } from 'node:crypto';
import { FILE_BYTES_MAX, HEADER_WRAPPED_LINK } from '#sdk/protocol';
import { toBase64url } from '../../domain/base64url.ts';
import { parseTusMetadata } from '../../domain/upload/tus-metadata.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { openPlace, sealPlace, wrapLink } from '../../usecases/signed-request/sealed-place.ts';
import type { UploadResult } from '../../usecases/upload/answers.ts';
import { appendUpload } from '../../usecases/upload/append-upload.ts';
import { createUpload } from '../../usecases/upload/create-upload.ts';
import { terminateUpload } from '../../usecases/upload/terminate-upload.ts';
import { uploadStatus } from '../../usecases/upload/upload-status.ts';
import { announcedDigest, digestHeader, oneHeader } from '../body/header-text.ts';
import { announcedBytes, requestBytes } from '../body/request-body.ts';
import { headerFields } from '../body/upload-source.ts';
import { admitting } from '../continue.ts';
import type { Answer, RequestContext, RouteDef } from '../route.ts';

/** The resumable upload speaks tus 1.0.0 with these extensions. */
const TUS_VERSION = '1.0.0';
const EXTENSIONS = 'creation,creation-with-upload,creation-defer-length,expiration,checksum,termination';
const CHECKSUMS = ['sha256', 'sha1', 'md5'];
const CHUNK_TYPE = 'application/offset+octet-stream';

const APPEND_ERRORS = [
  'unsealed_refused',
  'tus_version_unsupported',
  'tus_offset_mismatch',
  'tus_checksum_mismatch',
  'tus_checksum_unsupported',
  'payload_too_large',
  'unsupported_media_type',
  'upload_preempted',
  'upload_unknown',
  'upload_gone',
  'body_truncated',
  'digest_mismatch',
  'invalid_field',
  'storage_full',
  'storage_unavailable',
  'quota_exceeded',
  'too_many_in_flight',
  'key_revoked',
  'role_insufficient',
];
const TUS_HEADER = { name: 'Tus-Resumable', in: 'header', required: true, schema: { const: TUS_VERSION } };

function options(path: string, operationId: string): RouteDef {
  return {
    method: 'OPTIONS',
    path,
    auth: 'none',
    body: 'none',
    operation: {
      operationId,
      summary: 'What of tus is spoken here',
      responses: { '204': { description: 'See the Tus- headers' } },
    },
    handle: async ({ deps }) => ({
      status: 204,
      headers: {
        'tus-resumable': TUS_VERSION,
        'tus-version': TUS_VERSION,
        'tus-extension': EXTENSIONS,
        'tus-checksum-algorithm': CHECKSUMS.join(','),
        'tus-max-size': deps.settings.fileBytesMax,
      },
    }),
  };
}

export const optionsUploads = options('/v1/uploads', 'tusOptions');
export const optionsUpload = options('/v1/uploads/:secret', 'tusOptionsOfUpload');

export const postUploads: RouteDef = {
  method: 'POST',
  path: '/v1/uploads',
  auth: 'key',
  signed: true,
  body: 'file',
  operation: {
    operationId: 'tusCreate',
    summary: 'Begin a resumable upload (tus 1.0)',
    parameters: [
      TUS_HEADER,
      { name: 'Upload-Length', in: 'header', schema: { type: 'integer', minimum: 0, maximum: FILE_BYTES_MAX } },
      { name: 'Upload-Defer-Length', in: 'header', schema: { const: '1' } },
      { name: 'Upload-Metadata', in: 'header', schema: { type: 'string' } },
      { name: 'Idempotency-Key', in: 'header', schema: { type: 'string', minLength: 22, maxLength: 255 } },
      {
        name: 'Repr-Digest',
        in: 'header',
        description: 'SHA-256 of the whole [RFC 9530]: what ends with another one is not kept',
        schema: { type: 'string' },
      },
    ],
    responses: { '201': { description: 'Begun; Location is where it goes on' } },
    errors: [
      ...APPEND_ERRORS,
      'tus_metadata_invalid',
      'idempotency_key_invalid',
      'idempotency_mismatch',
      'upload_limit_exceeded',
    ],
  },
  handle: (context) => speakingTus(context, create),
};

export const headUpload: RouteDef = {
  method: 'HEAD',
  path: '/v1/uploads/:secret',
  auth: 'key',
  signed: true,
  body: 'none',
  operation: {
    operationId: 'tusStatus',
    summary: 'The durable offset; of a finished upload, its link',
    parameters: [TUS_HEADER],
    responses: { '200': { description: 'Upload-Offset tells where to go on' } },
    errors: ['tus_version_unsupported', 'upload_unknown', 'upload_gone'],
  },
  handle: (context) =>
    speakingTus(context, async () => {
      const { row, result } = await uploadStatus(context.deps, context.caller, placeOf(context));
      return {
        status: 200,
        headers: { ...progressHeaders(row), ...linkHeaders(context, result), 'content-length': 0 },
      };
    }),
};

export const patchUpload: RouteDef = {
  method: 'PATCH',
  path: '/v1/uploads/:secret',
  auth: 'key',
  signed: true,
  body: 'file',
  operation: {
    operationId: 'tusAppend',
    summary: 'Add a chunk of any size',
    parameters: [
      TUS_HEADER,
      { name: 'Upload-Offset', in: 'header', required: true, schema: { type: 'integer', minimum: 0 } },
      { name: 'Upload-Checksum', in: 'header', schema: { type: 'string' } },
    ],
    requestBody: { required: true, content: { [CHUNK_TYPE]: { schema: { type: 'string', format: 'binary' } } } },
    responses: { '204': { description: 'Kept; Fuselink-Url has the link when the file is whole' } },
    errors: APPEND_ERRORS,
  },
  handle: (context) =>
    speakingTus(context, async () => {
      const offset = wholeHeader(context, 'upload-offset');
      if (offset === null) throw fieldError('upload-offset', 'expected a whole number, got none');
      const { row, result } = await append(context, { secretText: placeOf(context), offset });
      return { status: 204, headers: { ...progressHeaders(row), ...linkHeaders(context, result) } };
    }),
};

export const deleteUpload: RouteDef = {
  method: 'DELETE',
  path: '/v1/uploads/:secret',
  auth: 'key',
  signed: true,
  body: 'none',
  operation: {
    operationId: 'tusTerminate',
    summary: 'Give an upload up, or burn its finished file',
    parameters: [TUS_HEADER],
    responses: { '204': { description: 'Gone' } },
    errors: [
      'tus_version_unsupported',
      'upload_unknown',
      'upload_gone',
      'conflict',
      'role_insufficient',
      'transfer_ended',
    ],
  },
  handle: (context) =>
    speakingTus(context, async () => {
      await terminateUpload(context.deps, context.caller, placeOf(context));
      return { status: 204 };
    }),
};

/** For clients that can only GET and POST [tus 1.0, X-HTTP-Method-Override]. */
export const postUploadOverride: RouteDef = {
  method: 'POST',
  path: '/v1/uploads/:secret',
  auth: 'key',
  signed: true,
  body: 'file',
  operation: {
    operationId: 'tusOverride',
    summary: 'PATCH or DELETE, for clients that can only POST',
    parameters: [
      TUS_HEADER,
      { name: 'X-HTTP-Method-Override', in: 'header', required: true, schema: { enum: ['PATCH', 'DELETE'] } },
    ],
    responses: { '204': { description: 'As the method that was meant' } },
    errors: [...APPEND_ERRORS, 'conflict', 'method_not_allowed', 'transfer_ended'],
  },
  handle: async (context) => {
    const meant = oneHeader(context.req.headers['x-http-method-override'])?.trim().toUpperCase();
    if (meant === 'PATCH') return patchUpload.handle(context);
    if (meant === 'DELETE') return deleteUpload.handle(context);
    throw new FuselinkError(
      'method_not_allowed',
      'Expected PATCH, or POST with X-HTTP-Method-Override: PATCH or DELETE.',
      {
        headers: { allow: 'HEAD, PATCH, DELETE, OPTIONS' },
      },
    );
  },
};

/** Every tus answer says its version; a request in another one is refused with ours [tus 1.0, Tus-Resumable]. */
async function speakingTus(
  context: RequestContext,
  act: (context: RequestContext) => Promise<Answer>,
): Promise<Answer> {
  context.res.setHeader('tus-resumable', TUS_VERSION);
  const spoken = oneHeader(context.req.headers['tus-resumable']);
  if (spoken !== TUS_VERSION) {
    throw new FuselinkError(
      'tus_version_unsupported',
      `Expected Tus-Resumable: ${TUS_VERSION}, got ${spoken === undefined ? 'none' : 'another'}.`,
      {
        headers: { 'tus-version': TUS_VERSION },
      },
    );
  }
  return act(context);
}

async function create(context: RequestContext): Promise<Answer> {
  const { deps, caller, req } = context;
  const deferred = oneHeader(req.headers['upload-defer-length']);
  const size = wholeHeader(context, 'upload-length');
  if ((size === null) === (deferred === undefined) || (deferred !== undefined && deferred !== '1')) {
    throw fieldError('upload-length', 'expected either Upload-Length or Upload-Defer-Length: 1');
  }
  const parsed = parseTusMetadata(oneHeader(req.headers['upload-metadata']));
  if (!parsed.ok) throw new FuselinkError('tus_metadata_invalid', `Upload-Metadata: ${parsed.detail}.`);
  const created = await createUpload(deps, caller, {
    size,
    fields: { ...headerFields(req), ...parsed.fields },
    announcedSha256: announcedDigest(req.headers, ['repr-digest']),
    idempotencyKey: oneHeader(req.headers['idempotency-key']),
    patience: admitting(context).patience,
  });
  const secretText = toBase64url(created.secret);
  const { deviceId, deviceSecret } = caller;
  const place = deviceSecret === undefined || deviceId === null ? secretText : sealPlace(deps, deviceId, secretText);
  const location = `${context.publicUrl}/v1/uploads/${place}`;
  const base = { location, ...(created.replayed ? { 'idempotency-replayed': 'true' } : {}) };

  const withUpload = oneHeader(req.headers['content-type'])?.trim().toLowerCase() === CHUNK_TYPE;
  // An empty file is whole as soon as it is begun.
  const complete = created.row.state === 'uploading' && created.row.size === 0;
  if ((withUpload && !created.replayed) || complete) {
    const { row, result } = await append(context, {
      secretText,
      offset: created.row.offset,
      creating: true,
      empty: !withUpload,
    });
    return { status: 201, headers: { ...base, ...progressHeaders(row), ...linkHeaders(context, result) } };
  }
  const finished = created.row.state === 'uploading' ? null : (await uploadStatus(deps, caller, secretText)).result;
  return { status: 201, headers: { ...base, ...progressHeaders(created.row), ...linkHeaders(context, finished) } };
}

/** The secret that leads to the upload: as it stands in the path, or sealed for the device that signs its requests. */
function placeOf({ deps, caller, params }: RequestContext): string {
  return openPlace(deps, caller.deviceId, params.secret ?? '');
}

async function append(
  context: RequestContext,
  chunk: { secretText: string; offset: number; creating?: boolean; empty?: boolean },
) {
  const { deps, caller, req } = context;
  const type = oneHeader(req.headers['content-type'])?.trim().toLowerCase();
  if (chunk.empty !== true && type !== CHUNK_TYPE) {
    throw new FuselinkError(
      'unsupported_media_type',
      `Expected Content-Type: ${CHUNK_TYPE}, got ${type === undefined ? 'none' : 'another'}.`,
    );
  }
  return appendUpload(deps, caller, {
    ...chunk,
    size: chunk.creating === true ? null : wholeHeader(context, 'upload-length'),
    bytes: announcedBytes(req),
    body: requestBytes(req),
    checksum: checksumOf(context),
    ...admitting(context),
  });
}

function checksumOf({ req }: RequestContext) {
  const header = oneHeader(req.headers['upload-checksum']);
  if (header === undefined) return null;
  const match = /^(\w+) ([A-Za-z0-9+/]+={0,2})$/.exec(header.trim());
  const algorithm = match?.[1]?.toLowerCase() ?? '';
  if (match === null || !CHECKSUMS.includes(algorithm)) {
    throw new FuselinkError(
      'tus_checksum_unsupported',
      `Upload-Checksum: expected one of ${CHECKSUMS.join(', ')} and a base64 digest, got another.`,
    );
  }
  const hash = createHash(algorithm);
  const expected = match[2] ?? '';
  return {
    algorithm,
    hash: { update: (bytes: Uint8Array) => void hash.update(bytes) },
    matches: () => hash.digest('base64') === expected,
  };
}

function progressHeaders(row: TransferRow): Record<string, string | number> {
  return {
    'upload-offset': row.offset,
    ...(row.size === null ? { 'upload-defer-length': 1 } : { 'upload-length': row.size }),
    ...(row.upload_deadline_ms === null ? {} : { 'upload-expires': new Date(row.upload_deadline_ms).toUTCString() }),
  };
}

/** Where a finished upload's link is told: its secret is what the client already holds in the Location. */
function linkHeaders(context: RequestContext, result: UploadResult | null): Record<string, string> {
  if (result === null || result.token === null) return {};
  const { deviceSecret } = context.caller;
  const link: Record<string, string> =
    deviceSecret === undefined
      ? { 'fuselink-url': `${context.publicUrl}/get/${result.token}` }
      : { [HEADER_WRAPPED_LINK]: wrapLink(context.deps, deviceSecret(), result.token) };
  return {
    ...link,
    'fuselink-id': result.row.id,
    'repr-digest': digestHeader(result.sha256),
    expires: new Date(result.row.expires_at_ms).toUTCString(),
  };
}

function wholeHeader({ req }: RequestContext, name: string): number | null {
  const text = oneHeader(req.headers[name]);
  if (text === undefined) return null;
  if (/^\d{1,15}$/.test(text.trim())) return Number(text);
  throw fieldError(name, 'expected a whole number of bytes, got another text');
}

function fieldError(field: string, detail: string): FuselinkError {
  return new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}
