import { HEADER_WRAPPED_LINK, type UploadAnswer } from '#sdk/protocol';
import { UPLOAD_FIELDS } from '../../domain/upload/upload-options.ts';
import { wrapLink } from '../../usecases/signed-request/sealed-place.ts';
import { transferAnswer, type UploadResult } from '../../usecases/upload/answers.ts';
import { receiveUpload } from '../../usecases/upload/receive-upload.ts';
import { headerOf, uploadSource } from '../body/upload-source.ts';
import { admitting } from '../continue.ts';
import type { Answer, RequestContext, RouteDef } from '../route.ts';
import { jsonResponse } from '../schemas.ts';

const HEADER_PARAMETERS = [
  ...UPLOAD_FIELDS.filter((field) => field !== 'content_type').map((field) => ({
    name: headerOf(field),
    in: 'header',
    schema: { type: 'string' },
  })),
  {
    name: 'Idempotency-Key',
    in: 'header',
    description: 'A repeat returns the same transfer and link',
    schema: { type: 'string', minLength: 22, maxLength: 255 },
  },
  {
    name: 'Repr-Digest',
    in: 'header',
    description: 'sha-256=:base64: of the file; refused when it differs',
    schema: { type: 'string' },
  },
];

const ERRORS = [
  'file_missing',
  'file_repeated',
  'body_truncated',
  'invalid_field',
  'invalid_body',
  'digest_mismatch',
  'payload_too_large',
  'idempotency_key_invalid',
  'idempotency_mismatch',
  'upload_preempted',
  'upload_limit_exceeded',
  'too_many_in_flight',
  'storage_full',
  'quota_exceeded',
  'unsealed_refused',
  'storage_unavailable',
  'role_insufficient',
  'unsupported_media_type',
] as const;

const responses = {
  '201': jsonResponse('The file is stored; its link works once', 'Upload'),
  '200': jsonResponse('The Idempotency-Key stands for a transfer that has ended: its receipt', 'Transfer'),
};

export const postUpload: RouteDef = {
  method: 'POST',
  path: '/v1/upload',
  auth: 'key',
  signed: true,
  body: 'file',
  operation: {
    operationId: 'upload',
    summary: 'Send a file, get a link that works once',
    parameters: HEADER_PARAMETERS,
    requestBody: {
      required: true,
      content: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            required: ['file'],
            properties: {
              file: { type: 'string', format: 'binary' },
              ...Object.fromEntries(UPLOAD_FIELDS.map((field) => [field, { type: 'string' }])),
            },
          },
        },
        'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
      },
    },
    responses,
    errors: ERRORS,
  },
  handle: (context) => upload(context, undefined),
};

export const putUpload: RouteDef = {
  method: 'PUT',
  path: '/v1/upload/:filename',
  auth: 'key',
  signed: true,
  body: 'file',
  operation: {
    operationId: 'uploadByPut',
    summary: 'Send a file with its name in the path (curl -T)',
    parameters: HEADER_PARAMETERS,
    requestBody: {
      required: true,
      content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
    },
    responses,
    errors: ERRORS,
  },
  // The router has decoded it: once more would turn a file called "a%20b" into another.
  handle: (context) => upload(context, context.params.filename ?? ''),
};

async function upload(context: RequestContext, filename: string | undefined): Promise<Answer> {
  const { deps, req, caller } = context;
  const source = await uploadSource(req, {
    filename,
    admitting: admitting(context),
    bytesMax: deps.settings.fileBytesMax,
  });
  return uploadAnswer(context, await receiveUpload(deps, caller, source));
}

/** 201 with the link, or 200 with the receipt where a repeat came after the end. */
function uploadAnswer({ deps, caller, publicUrl }: RequestContext, result: UploadResult): Answer {
  const replayed: Record<string, string> = result.replayed ? { 'idempotency-replayed': 'true' } : {};
  if (result.token === null) {
    return { status: 200, json: { ...transferAnswer(deps, result.row), url: null }, headers: replayed };
  }
  const { deviceSecret } = caller;
  const answer = {
    id: result.row.id,
    url: deviceSecret === undefined ? `${publicUrl}/get/${result.token}` : null,
    expires_at: new Date(result.row.expires_at_ms).toISOString(),
    size: result.row.size ?? result.row.offset,
    sha256: result.sha256,
    filename: result.filename,
  } satisfies Omit<UploadAnswer, 'url'> & { url: string | null };
  const wrapped: Record<string, string> =
    deviceSecret === undefined ? {} : { [HEADER_WRAPPED_LINK]: wrapLink(deps, deviceSecret(), result.token) };
  return {
    status: 201,
    json: answer,
    headers: { location: `/v1/transfers/${result.row.id}`, ...wrapped, ...replayed },
  };
}
