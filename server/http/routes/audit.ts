import { listAudit } from '../../usecases/audit/read-audit.ts';
import { verifyAudit } from '../../usecases/audit/verify-audit.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { knownQuery, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonResponse, PAGE_PARAMETERS, pageResponse } from '../schemas.ts';

export const getAudit: RouteDef = {
  method: 'GET',
  path: '/v1/audit',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listAudit',
    summary: 'What was done and refused in the account, newest first',
    parameters: [
      { name: 'subject', in: 'query', description: 'Only what is about this id', schema: { type: 'string' } },
      ...PAGE_PARAMETERS,
    ],
    responses: { '200': pageResponse('entries', 'AuditEntry') },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['subject', 'cursor', 'limit']);
    const page = { subject: query.get('subject') ?? undefined, ...pageQuery(query) };
    return { status: 200, json: await listAudit(deps, caller, page) };
  },
};

export const getAuditVerify: RouteDef = {
  method: 'GET',
  path: '/v1/audit/verify',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'verifyAudit',
    summary: 'Recompute the hash chain from its first entry; names the first one that does not hold',
    description: 'With seq and hash of a head noted down earlier it also finds entries cut off the end.',
    parameters: [
      { name: 'seq', in: 'query', schema: { type: 'integer', minimum: 1 } },
      { name: 'hash', in: 'query', schema: { type: 'string' } },
    ],
    responses: { '200': jsonResponse('What was found', 'AuditVerification') },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['seq', 'hash']);
    return { status: 200, json: await verifyAudit(deps, caller, notedHead(query.get('seq'), query.get('hash'))) };
  },
};

/** A head noted down earlier; throws `invalid_field` unless both halves are there and in form. */
export function notedHead(seq: string | null, hash: string | null): { seq: number; hash: string } | null {
  if (seq === null && hash === null) return null;
  if (seq !== null && hash !== null && /^[1-9]\d{0,14}$/.test(seq) && /^[\w-]{43}$/.test(hash)) {
    return { seq: Number(seq), hash };
  }
  const detail = 'expected seq (a whole number from 1) and hash (43 characters) together, as an earlier head gave them';
  throw new FuselinkError('invalid_field', `seq, hash: ${detail}.`, { errors: [{ field: 'seq', detail }] });
}
