import { ERRORS } from '#sdk/protocol';
import { signInByPassword } from '../../usecases/auth/sign-in.ts';
import { listDevices } from '../../usecases/device/enrol-device.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { newId } from '../../usecases/new-id.ts';
import { listTransfers } from '../../usecases/transfer/look.ts';
import { readJson } from '../body/request-body.ts';
import { problemAnswer } from '../problem.ts';
import type { Answer, Dialect, RequestContext, RouteDef } from '../route.ts';
import { jsonResponse } from '../schemas.ts';
import { caselessBody, textField } from './json-body.ts';
import { type Askable, allPages, arrange, type ListQuery } from './list-query.ts';

const ERROR = {
  type: 'object',
  properties: { status: { type: 'integer' }, code: { type: 'string' }, message: { type: 'string' }, props: {} },
  required: ['status', 'code', 'message'],
};

/** CloudTower's API: `{ status, code, message }` for errors, lists by position, GraphQL for keys. Translation only. */
export const CLOUDTOWER: Dialect = {
  name: 'cloudtower',
  ignoresCase: false,
  problem(error) {
    const { headers = {} } = problemAnswer(error);
    const { status } = ERRORS[error.code];
    return { status, headers, json: { status, code: error.code, message: error.message, props: {} } };
  },
  errorContent: { 'application/json': { schema: ERROR } },
};

export const cloudtowerLogin: RouteDef = {
  method: 'POST',
  path: '/v2/api/login',
  auth: 'none',
  body: 'json',
  dialect: CLOUDTOWER,
  operation: {
    operationId: 'cloudtowerLogin',
    summary: 'Log in with e-mail and API key, where no second factor is set up and the operator allows it',
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: {
            type: 'object',
            properties: {
              username: { type: 'string' },
              source: { type: 'string', enum: ['LOCAL'] },
              password: { type: 'string' },
            },
            required: ['username', 'password'],
          },
        },
      },
    },
    responses: {
      '200': jsonResponse('A token for 24 hours', {
        type: 'object',
        properties: {
          task_id: { type: ['string', 'null'] },
          data: { type: 'object', properties: { token: { type: 'string' } }, required: ['token'] },
        },
        required: ['task_id', 'data'],
      }),
    },
    errors: [
      'sign_in_failed',
      'password_sign_in_refused',
      'sign_in_limit_exceeded',
      'key_revoked',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
      'payload_too_large',
    ],
  },
  async handle({ deps, req, from }) {
    const body = await caselessBody(req);
    const password = { email: textField(body, 'username'), apiKey: textField(body, 'password'), from };
    const source = body.get('source');
    if (source !== undefined && source !== null && source !== 'LOCAL') {
      const detail = 'expected LOCAL, got another source of users';
      throw new FuselinkError('invalid_field', `source: ${detail}.`, { errors: [{ field: 'source', detail }] });
    }
    const { session } = await signInByPassword(deps, password);
    return { status: 200, json: { task_id: newId(deps, 'task'), data: { token: session.token } } };
  },
};

function listRoute(about: {
  path: string;
  operationId: string;
  summary: string;
  askable: Askable;
  rows(context: RequestContext): Promise<object[]>;
}): RouteDef {
  const { askable } = about;
  return {
    method: 'POST',
    path: about.path,
    auth: 'key',
    body: 'json',
    dialect: CLOUDTOWER,
    operation: {
      operationId: about.operationId,
      summary: about.summary,
      requestBody: {
        content: {
          'application/json': {
            schema: {
              type: 'object',
              properties: {
                where: { type: ['object', 'null'], description: `Filters on ${askable.where.join(', ')}` },
                orderBy: { enum: [...askable.orderBy.flatMap((name) => [`${name}_ASC`, `${name}_DESC`]), null] },
                skip: { type: ['integer', 'null'], minimum: 0 },
                first: { type: ['integer', 'null'], minimum: 0 },
              },
            },
          },
        },
      },
      responses: { '200': jsonResponse('The rows', { type: 'array', items: { type: 'object' } }) },
      errors: ['invalid_field', 'invalid_body', 'unsupported_media_type', 'payload_too_large', 'role_insufficient'],
    },
    async handle(context) {
      const body = await readJson(context.req);
      const { where = null } = body;
      if (where !== null && (typeof where !== 'object' || Array.isArray(where))) {
        const detail = 'expected an object of filters, got another';
        throw new FuselinkError('invalid_field', `where: ${detail}.`, { errors: [{ field: 'where', detail }] });
      }
      return { status: 200, json: arrange(await about.rows(context), body as ListQuery, askable) };
    },
  };
}

const DEVICES: Askable = {
  where: ['id', 'name', 'profile'],
  orderBy: ['name', 'created_at', 'last_seen_at', 'profile', 'id'],
};

async function deviceRows({ deps, caller }: RequestContext): Promise<object[]> {
  return allPages((cursor) => listDevices(deps, caller, { cursor, limit: 200 }), 'devices');
}

export const getDevicesList = listRoute({
  path: '/v2/api/get-devices',
  operationId: 'cloudtowerGetDevices',
  summary: 'Devices by filter, order and position',
  askable: DEVICES,
  rows: deviceRows,
});

export const getVmsList = listRoute({
  path: '/v2/api/get-vms',
  operationId: 'cloudtowerGetVms',
  summary: 'Devices, by the name CloudTower scripts use',
  askable: DEVICES,
  rows: deviceRows,
});

export const getTransfersList = listRoute({
  path: '/v2/api/get-transfers',
  operationId: 'cloudtowerGetTransfers',
  summary: 'Transfers by filter, order and position',
  askable: {
    where: ['id', 'state', 'filename', 'recipient', 'device_id', 'key_id', 'held'],
    orderBy: ['created_at', 'expires_at', 'size', 'filename', 'state'],
  },
  rows: ({ deps, caller }) => allPages((cursor) => listTransfers(deps, caller, { cursor, limit: 200 }), 'transfers'),
});

/** GraphQL's engine is loaded when the first request asks for it: few relays have scripts that do. */
async function graphql(context: RequestContext): Promise<Answer> {
  const { answerGraphql } = await import('./graphql.ts');
  return answerGraphql(context);
}

const GRAPHQL_ANSWER = jsonResponse('What was asked for, or `errors`', {
  type: 'object',
  properties: { data: { type: ['object', 'null'] }, errors: { type: 'array', items: { type: 'object' } } },
});

export const postGraphql: RouteDef = {
  method: 'POST',
  path: '/api',
  auth: 'key',
  body: 'json',
  dialect: CLOUDTOWER,
  operation: {
    operationId: 'cloudtowerGraphql',
    summary: 'GraphQL: createApiKey, deleteApiKey, apiKeys (introspection is on)',
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: {
            type: 'object',
            properties: {
              query: { type: 'string' },
              variables: { type: ['object', 'null'] },
              operationName: { type: ['string', 'null'] },
            },
            required: ['query'],
          },
        },
      },
    },
    responses: { '200': GRAPHQL_ANSWER, '400': GRAPHQL_ANSWER },
    errors: ['payload_too_large', 'unsupported_media_type', 'not_acceptable'],
  },
  handle: graphql,
};

export const getGraphql: RouteDef = {
  method: 'GET',
  path: '/api',
  auth: 'key',
  body: 'none',
  dialect: CLOUDTOWER,
  operation: {
    operationId: 'cloudtowerGraphqlQuery',
    summary: 'GraphQL queries by GET (mutations need POST)',
    parameters: [
      { name: 'query', in: 'query', required: true, schema: { type: 'string' } },
      { name: 'variables', in: 'query', schema: { type: 'string' } },
      { name: 'operationName', in: 'query', schema: { type: 'string' } },
    ],
    responses: { '200': GRAPHQL_ANSWER, '400': GRAPHQL_ANSWER },
    errors: ['not_acceptable', 'method_not_allowed'],
  },
  handle: graphql,
};

export const CLOUDTOWER_ROUTES: readonly RouteDef[] = [
  cloudtowerLogin,
  getDevicesList,
  getVmsList,
  getTransfersList,
  postGraphql,
  getGraphql,
];
