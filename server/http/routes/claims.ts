import type { ClaimAnswer } from '#sdk/protocol';
import { FuselinkError } from '../../usecases/error.ts';
import { acknowledgeRead } from '../../usecases/read/acknowledge.ts';
import { claimLink } from '../../usecases/read/claim-link.ts';
import { transferAnswer } from '../../usecases/upload/answers.ts';
import { oneHeader } from '../body/header-text.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { sendFile } from '../reading/send-file.ts';
import type { RequestContext, RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse } from '../schemas.ts';

const STATE_ERRORS = ['link_unknown', 'link_expired', 'link_burned', 'link_revoked', 'transfer_uploading'];
const CLAIM_HEADER = { name: 'Fuselink-Claim', in: 'header', required: true, schema: { type: 'string' } };

export const postClaim: RouteDef = {
  method: 'POST',
  path: '/get/:token/claim',
  auth: 'link',
  body: 'json',
  operation: {
    operationId: 'claimLink',
    summary: 'Take the lease: from now on only this claim reads',
    description: 'A form POST (application/x-www-form-urlencoded) from the page gets the file itself.',
    responses: { '200': jsonResponse('The lease', 'Claim') },
    errors: [
      ...STATE_ERRORS,
      'transfer_leased',
      'transfer_held',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
    ],
  },
  async handle(context) {
    const { deps, req, params, from } = context;
    // The page's button works without JavaScript: pressing it is what no preview does.
    if (/^\s*application\/x-www-form-urlencoded/i.test(oneHeader(req.headers['content-type']) ?? '')) {
      return sendFile(context, { claim: null, deliberate: true });
    }
    checkFields(await readJson(req), {});
    const { claim, row, meta } = await claimLink(deps, params.token ?? '', { from });
    const answer: ClaimAnswer = {
      claim,
      lease_seconds: row.lease_seconds,
      lease_expires_at: new Date(row.lease_expires_at_ms ?? 0).toISOString(),
      filename: meta.filename,
      content_type: meta.contentType,
      size: row.size ?? 0,
      sha256: meta.sha256 ?? '',
      note: meta.note,
      expires_at: new Date(row.expires_at_ms).toISOString(),
      sealed: row.end_to_end,
    };
    return { status: 200, json: answer };
  },
};

export const getContent: RouteDef = {
  method: 'GET',
  path: '/get/:token/content',
  auth: 'link',
  body: 'none',
  operation: {
    operationId: 'readContent',
    summary: 'The bytes, under a claim; Range continues',
    parameters: [
      CLAIM_HEADER,
      { name: 'Range', in: 'header', schema: { type: 'string' } },
      { name: 'If-Range', in: 'header', schema: { type: 'string' } },
    ],
    responses: {
      '200': { description: 'The file', content: { 'application/octet-stream': {} } },
      '206': { description: 'A part of it', content: { 'application/octet-stream': {} } },
    },
    errors: [
      ...STATE_ERRORS,
      'claim_required',
      'claim_unknown',
      'transfer_held',
      'range_not_satisfiable',
      'storage_unavailable',
    ],
  },
  handle: (context) => sendFile(context, { claim: claimOf(context) }),
};

export const postAck: RouteDef = {
  method: 'POST',
  path: '/get/:token/ack',
  auth: 'link',
  body: 'json',
  operation: {
    operationId: 'acknowledgeRead',
    summary: 'Prove delivery with the digest of what was received: the file is burned',
    parameters: [{ ...CLAIM_HEADER, required: false, description: 'Absent after a plain GET' }],
    requestBody: jsonRequest({ sha256: { type: 'string', pattern: '^[0-9a-fA-F]{64}$' } }, ['sha256']),
    responses: {
      '200': jsonResponse('Burned', {
        type: 'object',
        properties: { state: { const: 'burned' }, burned_at: { type: 'string' } },
      }),
    },
    errors: [
      ...STATE_ERRORS,
      'claim_unknown',
      'ack_digest_mismatch',
      'ack_incomplete',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
    ],
  },
  async handle({ deps, req, params, from }) {
    const { sha256 } = checkFields(await readJson(req), { sha256: { type: 'string', required: true } });
    if (!/^[0-9a-fA-F]{64}$/.test(String(sha256))) {
      const detail = 'expected 64 hex characters of SHA-256, got another text';
      throw new FuselinkError('invalid_field', `sha256: ${detail}.`, { errors: [{ field: 'sha256', detail }] });
    }
    const claim = oneHeader(req.headers['fuselink-claim']);
    const row = await acknowledgeRead(deps, params.token ?? '', { claim, sha256: String(sha256), from });
    const { state, ended_at } = transferAnswer(deps, row);
    return { status: 200, json: { state, burned_at: ended_at } };
  },
};

function claimOf({ req }: RequestContext): string {
  const claim = oneHeader(req.headers['fuselink-claim']);
  if (claim === undefined || claim === '') {
    throw new FuselinkError(
      'claim_required',
      'Expected the header Fuselink-Claim with the claim of POST /get/:token/claim, got none.',
    );
  }
  return claim;
}
