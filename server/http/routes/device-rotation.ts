import type { DeviceId } from '../../domain/ids.ts';
import {
  issueKey,
  lookAtRotation,
  type OperatorOrder,
  orderRotation,
  type RotateDevice,
  removeDevice,
  reprovisionDevice,
} from '../../usecases/rotation/operate.ts';
import { tellStory } from '../../usecases/rotation/story.ts';
import { checkFields, type FieldSpec, readJson } from '../body/request-body.ts';
import { knownQuery } from '../query.ts';
import type { RequestContext, RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse } from '../schemas.ts';

const text = { type: 'string' } as const;
const seconds = { type: 'integer', minimum: 0 } as const;

const ORDER_ERRORS = [
  'management_required',
  'role_insufficient',
  'not_found',
  'rotation_state_conflict',
  'rotation_paused',
  'invalid_field',
  'invalid_body',
  'unsupported_media_type',
  'payload_too_large',
] as const;

export const getDeviceRotation: RouteDef = {
  method: 'GET',
  path: '/v1/devices/:id/rotation',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'getRotation',
    summary: 'How the key of a device stands',
    responses: { '200': jsonResponse('The rotation', 'Rotation') },
    errors: ['not_found', 'role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, []);
    return { status: 200, json: await lookAtRotation(deps, caller, params['id'] as DeviceId) };
  },
};

export const getDeviceStory: RouteDef = {
  method: 'GET',
  path: '/v1/devices/:id/story',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'deviceStory',
    summary: 'How the key of a device came to be in its state, in sentences',
    responses: { '200': jsonResponse('One sentence an event, oldest first', 'Story') },
    errors: ['not_found', 'role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, []);
    return { status: 200, json: await tellStory(deps, caller, params['id'] as DeviceId) };
  },
};

/** A verb of an operator on one device: what its body may hold, and the order it is. */
function orderRoute(
  verb: OperatorOrder['verb'],
  about: {
    summary: string;
    body: Record<string, FieldSpec & { schema: object }>;
    order(body: Record<string, unknown>): OperatorOrder;
  },
): RouteDef {
  const fields = Object.entries(about.body);
  return {
    method: 'POST',
    path: `/v1/devices/:id/${verb}`,
    auth: 'key',
    body: 'json',
    operation: {
      operationId: `${verb.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())}Device`,
      summary: about.summary,
      requestBody: jsonRequest(
        Object.fromEntries(fields.map(([name, { schema }]) => [name, schema])),
        fields.filter(([, { required }]) => required === true).map(([name]) => name),
      ),
      responses: { '200': jsonResponse('The rotation as it is now', 'Rotation') },
      errors: ORDER_ERRORS,
    },
    async handle({ deps, caller, params, req }) {
      const body = checkFields(await readJson(req), about.body);
      return { status: 200, json: await orderRotation(deps, caller, params['id'] as DeviceId, about.order(body)) };
    },
  };
}

const ms = (body: Record<string, unknown>, name: string) =>
  body[name] === undefined ? undefined : Number(body[name]) * 1000;

/** The fields of a rotation's plan, shared with campaigns. */
export const PLAN_FIELDS = {
  source: { type: 'string', schema: { enum: ['self', 'offer', 'manual'] } },
  policy: { type: 'string', schema: { enum: ['keep', 'quarantine', 'revoke'] } },
  deadline_seconds: { type: 'number', schema: seconds },
  soak_seconds: { type: 'number', schema: seconds },
  pending_ttl_seconds: { type: 'number', schema: seconds },
} as const;

export function planOfBody(body: Record<string, unknown>): RotateDevice {
  return {
    source: body['source'] as RotateDevice['source'],
    policy: body['policy'] as RotateDevice['policy'],
    deadlineMs: ms(body, 'deadline_seconds'),
    soakMs: ms(body, 'soak_seconds'),
    pendingTtlMs: ms(body, 'pending_ttl_seconds'),
  };
}

const reason = { reason: { type: 'string', required: true, schema: text } } as const;

async function issued({ deps, caller, params }: RequestContext) {
  const { rotation, key, fingerprint, generation } = await issueKey(deps, caller, params['id'] as DeviceId);
  return { status: 201, json: { rotation, key, fingerprint, generation } };
}

const issuedResponse = (extra: Record<string, object>) =>
  jsonResponse('The key, shown once', {
    type: 'object',
    properties: {
      rotation: { $ref: '#/components/schemas/Rotation' },
      key: text,
      fingerprint: text,
      generation: seconds,
      ...extra,
    },
    required: ['rotation', 'key', 'fingerprint', 'generation', ...Object.keys(extra)],
  });

export const DEVICE_ROTATION_ROUTES: readonly RouteDef[] = [
  getDeviceRotation,
  getDeviceStory,
  orderRoute('rotate', {
    summary: 'Ask the device for a new key',
    body: PLAN_FIELDS,
    order: (body) => ({ verb: 'rotate', plan: planOfBody(body) }),
  }),
  orderRoute('abort', {
    summary: 'Call off a rotation that is not proven',
    body: {},
    order: () => ({ verb: 'abort' }),
  }),
  orderRoute('roll-back', {
    summary: 'Go back to the old key of a rotation',
    body: {},
    order: () => ({ verb: 'roll-back' }),
  }),
  orderRoute('quarantine', {
    summary: 'Let the key only report: it may have been copied',
    body: reason,
    order: (body) => ({ verb: 'quarantine', reason: String(body['reason']).slice(0, 200) }),
  }),
  orderRoute('release', { summary: 'Trust a quarantined key again', body: {}, order: () => ({ verb: 'release' }) }),
  orderRoute('approve', {
    summary: 'Approve the key a quarantined device has staged',
    body: { fingerprint: { type: 'string', required: true, schema: text } },
    order: (body) => ({ verb: 'approve', fingerprint: String(body['fingerprint']) }),
  }),
  orderRoute('lose', {
    summary: 'Revoke every key of the device',
    body: reason,
    order: (body) => ({ verb: 'lose', reason: String(body['reason']).slice(0, 200) }),
  }),
  {
    method: 'POST',
    path: '/v1/devices/:id/issue',
    auth: 'key',
    body: 'none',
    operation: {
      operationId: 'issueDeviceKey',
      summary: 'Draw the key of a rotation with the source manual, shown once',
      responses: { '201': issuedResponse({}) },
      errors: ORDER_ERRORS,
    },
    handle: issued,
  },
  {
    method: 'POST',
    path: '/v1/devices/:id/reprovision',
    auth: 'key',
    body: 'none',
    operation: {
      operationId: 'reprovisionDevice',
      summary: 'A new key and recovery secret for a device that was lost, shown once',
      responses: { '201': issuedResponse({ recovery_secret: text }) },
      errors: ORDER_ERRORS,
    },
    async handle({ deps, caller, params }) {
      const { recoverySecret, ...rest } = await reprovisionDevice(deps, caller, params['id'] as DeviceId);
      return { status: 201, json: { ...rest, recovery_secret: recoverySecret } };
    },
  },
  {
    method: 'DELETE',
    path: '/v1/devices/:id',
    auth: 'key',
    body: 'none',
    operation: {
      operationId: 'removeDevice',
      summary: 'Remove a device: every key revoked',
      responses: { '200': jsonResponse('The rotation as it ended', 'Rotation') },
      errors: ORDER_ERRORS,
    },
    async handle({ deps, caller, params }) {
      return { status: 200, json: await removeDevice(deps, caller, params['id'] as DeviceId) };
    },
  },
];
