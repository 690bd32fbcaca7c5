import { ROLES } from '../../domain/auth/roles.ts';
import type { KeyId } from '../../domain/ids.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { createKey, listKeys, revokeKey } from '../../usecases/key/manage-keys.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { knownQuery, oneOf, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse, PAGE_PARAMETERS, pageResponse } from '../schemas.ts';

const KINDS = ['account', 'device', 'gateway'] as const;

export const getKeys: RouteDef = {
  method: 'GET',
  path: '/v1/keys',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listKeys',
    summary: 'Keys of the account, newest first; never the keys themselves',
    parameters: [{ name: 'kind', in: 'query', schema: { enum: KINDS } }, ...PAGE_PARAMETERS],
    responses: { '200': pageResponse('keys', 'Key') },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['kind', 'cursor', 'limit']);
    const page = { kind: oneOf(query, 'kind', KINDS), ...pageQuery(query) };
    return { status: 200, json: await listKeys(deps, caller, page) };
  },
};

export const postKeys: RouteDef = {
  method: 'POST',
  path: '/v1/keys',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'createKey',
    summary: 'A new account key, shown once',
    requestBody: jsonRequest({ name: { type: 'string' }, role: { enum: ROLES } }, ['name']),
    responses: { '201': jsonResponse('The key: this is the only time it is shown', 'KeyCreated') },
    errors: [
      'management_required',
      'role_insufficient',
      'key_limit_reached',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
    ],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), {
      name: { type: 'string', required: true },
      role: { type: 'string' },
    });
    const role = body.role === undefined ? undefined : ROLES.find((known) => known === body.role);
    if (body.role !== undefined && role === undefined) {
      const detail = `expected one of ${ROLES.join(', ')}, got another`;
      throw new FuselinkError('invalid_field', `role: ${detail}.`, { errors: [{ field: 'role', detail }] });
    }
    return { status: 201, json: await createKey(deps, caller, { name: String(body.name), role }) };
  },
};

export const deleteKey: RouteDef = {
  method: 'DELETE',
  path: '/v1/keys/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'revokeKey',
    summary: 'Revoke a key for the very next request',
    parameters: [
      { name: 'confirm', in: 'query', schema: { enum: ['last-key'] } },
      {
        name: 'burn',
        in: 'query',
        description: 'Also burn what was sent with it and nobody has read',
        schema: { enum: ['true', 'false'] },
      },
    ],
    responses: { '200': jsonResponse('The key, revoked, and what was sent with it', 'KeyRevoked') },
    errors: [
      'management_required',
      'role_insufficient',
      'not_found',
      'key_already_revoked',
      'key_last_needs_confirmation',
      'invalid_field',
    ],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, ['confirm', 'burn']);
    const burn = oneOf(query, 'burn', ['true', 'false']) === 'true';
    const confirmLast = oneOf(query, 'confirm', ['last-key']) === 'last-key';
    return { status: 200, json: await revokeKey(deps, caller, { id: params.id as KeyId, confirmLast, burn }) };
  },
};
