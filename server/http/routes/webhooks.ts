import { WEBHOOK_TYPE_NAMES } from '../../domain/webhook/types.ts';
import {
  addWebhook,
  enableWebhook,
  getWebhook,
  listMessages,
  listWebhooks,
  removeWebhook,
  sendAgain,
  testWebhook,
} from '../../usecases/webhook/manage.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { knownQuery, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse, PAGE_PARAMETERS } from '../schemas.ts';

const READING = ['role_insufficient', 'not_found'];
const MANAGING = ['management_required', ...READING];
const about = { auth: 'key', body: 'none' } as const;

const text = { type: 'string' } as const;
const time = { type: 'string', format: 'date-time' } as const;
const orNull = (schema: object) => ({ anyOf: [schema, { type: 'null' }] });
const object = (properties: Record<string, object>) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});
const properties = {
  id: text,
  url: text,
  events: { type: 'array', items: text },
  state: { enum: ['active', 'disabled'] },
  reason: orNull(text),
  failing_since: orNull(time),
  created_at: time,
};
const WEBHOOK = object(properties);
const WEBHOOK_CREATED = object({ ...properties, secret: text });
const MESSAGE = object({
  id: text,
  type: text,
  state: { enum: ['waiting', 'delivered', 'failed'] },
  attempts: { type: 'integer', minimum: 0 },
  outcome: orNull(text),
  created_at: time,
  next_try_at: orNull(time),
  ended_at: orNull(time),
});

const getWebhooks: RouteDef = {
  ...about,
  method: 'GET',
  path: '/v1/webhooks',
  operation: {
    operationId: 'listWebhooks',
    summary: 'Webhooks of the account, newest first; never their secrets',
    description: 'Without a sign-in their addresses are told without a path, which may hold a token.',
    responses: {
      '200': jsonResponse('All of them', object({ webhooks: { type: 'array', items: WEBHOOK } })),
    },
    errors: ['role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, []);
    return { status: 200, json: { webhooks: await listWebhooks(deps, caller) } };
  },
};

const postWebhooks: RouteDef = {
  auth: 'key',
  body: 'json',
  method: 'POST',
  path: '/v1/webhooks',
  operation: {
    operationId: 'addWebhook',
    summary: 'Be told of what happens from now on, by signed messages (Standard Webhooks)',
    requestBody: jsonRequest(
      { url: { type: 'string' }, events: { type: 'array', items: { enum: WEBHOOK_TYPE_NAMES } } },
      ['url'],
    ),
    responses: { '201': jsonResponse('The webhook; its secret is shown only now', WEBHOOK_CREATED) },
    errors: [...MANAGING, 'conflict', 'invalid_field', 'invalid_body', 'unsupported_media_type', 'payload_too_large'],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), {
      url: { type: 'string', required: true },
      events: { type: 'strings' },
    });
    const events = (body.events ?? undefined) as string[] | undefined;
    return { status: 201, json: await addWebhook(deps, caller, { url: String(body.url), events }) };
  },
};

const getOne: RouteDef = {
  ...about,
  method: 'GET',
  path: '/v1/webhooks/:id',
  operation: {
    operationId: 'getWebhook',
    summary: 'One webhook: its state, and since when it takes nothing',
    responses: { '200': jsonResponse('The webhook', WEBHOOK) },
    errors: READING,
  },
  handle: async ({ deps, caller, params }) => ({ status: 200, json: await getWebhook(deps, caller, params.id ?? '') }),
};

const deleteOne: RouteDef = {
  ...about,
  method: 'DELETE',
  path: '/v1/webhooks/:id',
  operation: {
    operationId: 'removeWebhook',
    summary: 'Take a webhook away; what it has not taken yet is not sent any more',
    responses: { '204': { description: 'Gone' } },
    errors: MANAGING,
  },
  async handle({ deps, caller, params }) {
    await removeWebhook(deps, caller, params.id ?? '');
    return { status: 204 };
  },
};

const postTest: RouteDef = {
  ...about,
  method: 'POST',
  path: '/v1/webhooks/:id/test',
  operation: {
    operationId: 'testWebhook',
    summary: 'Send a message of the type webhook.test, as every other is sent',
    responses: { '202': jsonResponse('The message: what becomes of it is in the list', MESSAGE) },
    errors: MANAGING,
  },
  handle: async ({ deps, caller, params }) => ({ status: 202, json: await testWebhook(deps, caller, params.id ?? '') }),
};

const postEnable: RouteDef = {
  ...about,
  method: 'POST',
  path: '/v1/webhooks/:id/enable',
  operation: {
    operationId: 'enableWebhook',
    summary: 'Let a disabled webhook go on where it stopped',
    responses: { '200': jsonResponse('The webhook', WEBHOOK) },
    errors: MANAGING,
  },
  handle: async ({ deps, caller, params }) => ({
    status: 200,
    json: await enableWebhook(deps, caller, params.id ?? ''),
  }),
};

const getMessages: RouteDef = {
  ...about,
  method: 'GET',
  path: '/v1/webhooks/:id/messages',
  operation: {
    operationId: 'listWebhookMessages',
    summary: 'What was sent, and what became of it; for a week after its end',
    parameters: PAGE_PARAMETERS,
    responses: {
      '200': jsonResponse(
        'One page, newest first',
        object({ messages: { type: 'array', items: MESSAGE }, next_cursor: orNull(text) }),
      ),
    },
    errors: [...READING, 'invalid_field'],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, ['cursor', 'limit']);
    return { status: 200, json: await listMessages(deps, caller, params.id ?? '', pageQuery(query)) };
  },
};

const postSendAgain: RouteDef = {
  ...about,
  method: 'POST',
  path: '/v1/webhooks/:id/messages/:message/send-again',
  operation: {
    operationId: 'sendWebhookMessageAgain',
    summary: 'Send a message once more, under the same id',
    responses: { '202': jsonResponse('The message', MESSAGE) },
    errors: MANAGING,
  },
  async handle({ deps, caller, params }) {
    const what = { webhook: params.id ?? '', message: params.message ?? '' };
    return { status: 202, json: await sendAgain(deps, caller, what) };
  },
};

export const WEBHOOK_ROUTES: readonly RouteDef[] = [
  getWebhooks,
  postWebhooks,
  getOne,
  deleteOne,
  postTest,
  postEnable,
  getMessages,
  postSendAgain,
];
