import { FuselinkError } from '../../usecases/error.ts';
import { gatewayAnswer, gatewayOf } from '../../usecases/gateway/gateways.ts';
import { checkSignIns, SIGN_INS_MAX, type SignInAsked } from '../../usecases/gateway/sign-in.ts';
import { readJson } from '../body/request-body.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse } from '../schemas.ts';

const text = { type: 'string' } as const;

const getGateway: RouteDef = {
  method: 'GET',
  path: '/v1/gateway',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'getGateway',
    summary: 'The gateway a gateway key is bound to: its name and how many devices it may speak for',
    responses: {
      '200': jsonResponse('The gateway', {
        type: 'object',
        properties: { id: text, name: text, key_id: text, devices: { type: 'integer' }, created_at: text },
        required: ['id', 'name', 'key_id', 'devices', 'created_at'],
      }),
    },
    errors: ['role_insufficient'],
  },
  async handle({ deps, caller }) {
    return { status: 200, json: await gatewayAnswer(deps, await gatewayOf(deps, caller)) };
  },
};

const postSignIn: RouteDef = {
  method: 'POST',
  path: '/v1/gateway/sign-in',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'gatewaySignIn',
    summary: 'What the keys are that devices showed to a gateway, by their SHA-256; for listed devices only',
    description: `At most ${SIGN_INS_MAX} at once. \`used\`: the devices showed them just now.`,
    requestBody: jsonRequest(
      {
        sign_ins: {
          type: 'array',
          items: {
            type: 'object',
            properties: { device_id: text, key_sha256: text },
            required: ['device_id', 'key_sha256'],
          },
        },
        used: { type: 'boolean' },
      },
      ['sign_ins'],
    ),
    responses: {
      '200': jsonResponse('One answer for each, in the same order', {
        type: 'object',
        properties: {
          sign_ins: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                device_id: text,
                state: { enum: ['valid', 'unknown', 'revoked', 'quarantined'] },
                fingerprint: text,
              },
              required: ['device_id', 'state'],
            },
          },
        },
        required: ['sign_ins'],
      }),
    },
    errors: ['role_insufficient', 'invalid_field', 'invalid_body', 'unsupported_media_type', 'payload_too_large'],
  },
  async handle({ deps, caller, req }) {
    const body = await readJson(req);
    // Who may not ask is told so before anything about how to ask.
    await gatewayOf(deps, caller);
    const answers = await checkSignIns(deps, caller, { asked: signInsOf(body), used: body.used === true });
    return { status: 200, json: { sign_ins: answers } };
  },
};

function signInsOf(body: Record<string, unknown>): SignInAsked[] {
  const list = body.sign_ins;
  if (!Array.isArray(list))
    throw fieldError('sign_ins', `expected an array, got ${list === undefined ? 'none' : `a ${typeof list}`}`);
  if (list.length > SIGN_INS_MAX) throw fieldError('sign_ins', `expected at most ${SIGN_INS_MAX}, got ${list.length}`);
  return list.map((entry: unknown, i) => {
    const { device_id, key_sha256 } = (entry ?? {}) as Record<string, unknown>;
    if (typeof device_id === 'string' && typeof key_sha256 === 'string')
      return { device: device_id, keySha256: key_sha256 };
    throw fieldError(`sign_ins[${i}]`, 'expected an object with the texts device_id and key_sha256');
  });
}

function fieldError(field: string, detail: string): FuselinkError {
  return new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}

/** What a firmware bridge asks under its own key; its devices' uploads go the way of all uploads. */
export const GATEWAY_ROUTES: readonly RouteDef[] = [getGateway, postSignIn];
