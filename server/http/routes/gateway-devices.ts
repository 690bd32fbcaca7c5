import type { DeviceId } from '../../domain/ids.ts';
import { attestUpload } from '../../usecases/gateway/attest-upload.ts';
import { addDelivery, refuseDelivery } from '../../usecases/gateway/deliveries.ts';
import { type CarriedMessage, type Evidence, hearThroughGateway } from '../../usecases/gateway/device-message.ts';
import { gatewayOf } from '../../usecases/gateway/gateways.ts';
import { tellHeldKeys } from '../../usecases/gateway/held-keys.ts';
import { gatewayWork } from '../../usecases/gateway/work.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { knownQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse } from '../schemas.ts';

const text = { type: 'string' } as const;
const whole = { type: 'integer', minimum: 0 } as const;
const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const;
const fingerprint = { type: 'string', pattern: '^[0-9a-f]{16}$' } as const;
const orNull = (schema: object) => ({ anyOf: [schema, { type: 'null' }] });

const postMessage: RouteDef = {
  method: 'POST',
  path: '/v1/gateway/messages',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'gatewayMessage',
    summary: 'A device’s own call, carried by its gateway: a status report, a registration, a question for an offer',
    description:
      '`text` is the device’s line of JSON, unchanged. With `key_sha256` the gateway vouches that its own broker signed the device in with that key; with `fingerprint` and `mac` the device vouches for itself (firmware-bridge/SPEC.md).',
    requestBody: jsonRequest({ device_id: text, text, key_sha256: digest, fingerprint, mac: digest }, [
      'device_id',
      'text',
    ]),
    responses: {
      '200': jsonResponse('The answer to carry back, with the MAC of the server where it can make one', {
        type: 'object',
        properties: { text, fingerprint: orNull(fingerprint), mac: orNull(digest) },
        required: ['text', 'fingerprint', 'mac'],
      }),
    },
    errors: [
      'role_insufficient',
      'not_found',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
      'payload_too_large',
    ],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), {
      device_id: { type: 'string', required: true },
      text: { type: 'string', required: true },
      key_sha256: { type: 'string' },
      fingerprint: { type: 'string' },
      mac: { type: 'string' },
    });
    await gatewayOf(deps, caller);
    const carried: CarriedMessage = {
      device: String(body['device_id']),
      text: String(body['text']),
      evidence: evidenceOf(body),
    };
    return { status: 200, json: await hearThroughGateway(deps, caller, carried) };
  },
};

/** What the gateway saw itself counts before what the device says. */
function evidenceOf(body: Record<string, unknown>): Evidence {
  if (body['key_sha256'] !== undefined) return { kind: 'session', keySha256: String(body['key_sha256']) };
  if (body['fingerprint'] === undefined || body['mac'] === undefined) return { kind: 'none' };
  return { kind: 'mac', fingerprint: String(body['fingerprint']), mac: String(body['mac']) };
}

const getWork: RouteDef = {
  method: 'GET',
  path: '/v1/gateway/work',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'gatewayWork',
    summary: 'What a gateway’s devices are waited for: keys to be replaced, files and images to be brought to them',
    responses: {
      '200': jsonResponse('Hints for its devices', {
        type: 'object',
        properties: {
          wishes: {
            type: 'array',
            items: {
              type: 'object',
              properties: { device_id: text, generation: whole, base: fingerprint },
              required: ['device_id', 'generation', 'base'],
            },
          },
          deliveries: {
            type: 'array',
            items: {
              type: 'object',
              properties: { id: text, device_id: text, link_path: text },
              required: ['id', 'device_id', 'link_path'],
            },
          },
          firmware: {
            type: 'array',
            items: {
              type: 'object',
              properties: { device_id: text, image_id: text },
              required: ['device_id', 'image_id'],
            },
          },
        },
        required: ['wishes', 'deliveries', 'firmware'],
      }),
    },
    errors: ['role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, []);
    return { status: 200, json: await gatewayWork(deps, caller) };
  },
};

const deliveryResponse = (status: string, what: string) => ({
  [status]: jsonResponse(what, {
    type: 'object',
    properties: { id: text, device_id: text, transfer_id: text, created_at: text },
    required: ['id', 'device_id', 'transfer_id', 'created_at'],
  }),
});

const postDelivery: RouteDef = {
  method: 'POST',
  path: '/v1/devices/:id/deliveries',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'deliverToDevice',
    summary: 'Hand the link of a file over for a device behind a gateway, which brings it there',
    requestBody: jsonRequest({ link: text }, ['link']),
    responses: deliveryResponse('201', 'It is delivered when the device is there'),
    errors: [
      'role_insufficient',
      'not_found',
      'link_unknown',
      'transfer_ended',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
      'payload_too_large',
    ],
  },
  async handle({ deps, caller, params, req }) {
    const body = checkFields(await readJson(req), { link: { type: 'string', required: true } });
    const what = { device: params['id'] as DeviceId, link: String(body['link']) };
    return { status: 201, json: await addDelivery(deps, caller, what) };
  },
};

const postRefusal: RouteDef = {
  method: 'POST',
  path: '/v1/gateway/refusals',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'gatewayRefuseDelivery',
    summary: 'The device did not take the file: it is offered no more',
    requestBody: jsonRequest({ delivery: text, reason: text }, ['delivery', 'reason']),
    responses: deliveryResponse('200', 'As it is now'),
    errors: [
      'role_insufficient',
      'not_found',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
      'payload_too_large',
    ],
  },
  async handle({ deps, caller, req }) {
    const required = { type: 'string', required: true } as const;
    const body = checkFields(await readJson(req), { delivery: required, reason: required });
    const gateway = await gatewayOf(deps, caller);
    const what = { id: String(body['delivery']), reason: String(body['reason']) };
    return { status: 200, json: await refuseDelivery(deps, gateway, what) };
  },
};

const putHeldKeys: RouteDef = {
  method: 'PUT',
  path: '/v1/gateway/held-keys',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'gatewayHeldKeys',
    summary: 'The gateway says for which of its devices it holds the key, because they cannot',
    requestBody: jsonRequest({ devices: { type: 'array', items: text } }, ['devices']),
    responses: {
      '200': jsonResponse('All whose keys it holds', {
        type: 'object',
        properties: { devices: { type: 'array', items: text } },
        required: ['devices'],
      }),
    },
    errors: [
      'role_insufficient',
      'not_found',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
      'payload_too_large',
    ],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), { devices: { type: 'strings', required: true } });
    return { status: 200, json: { devices: await tellHeldKeys(deps, caller, body['devices'] as string[]) } };
  },
};

const postAttestation: RouteDef = {
  method: 'POST',
  path: '/v1/gateway/attestations',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'gatewayAttest',
    summary: 'The gateway vouches for the key a device had signed in with when it published what this transfer brought',
    requestBody: jsonRequest({ device_id: text, key_sha256: digest, transfer_id: text }, [
      'device_id',
      'key_sha256',
      'transfer_id',
    ]),
    responses: {
      '200': jsonResponse('It counts as the device’s own upload; settled: nothing more of its key is waited for', {
        type: 'object',
        properties: { settled: { type: 'boolean' } },
        required: ['settled'],
      }),
    },
    errors: [
      'role_insufficient',
      'not_found',
      'key_revoked',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
      'payload_too_large',
    ],
  },
  async handle({ deps, caller, req }) {
    const required = { type: 'string', required: true } as const;
    const body = checkFields(await readJson(req), { device_id: required, key_sha256: required, transfer_id: required });
    await gatewayOf(deps, caller);
    const said = {
      device: String(body['device_id']),
      keySha256: String(body['key_sha256']),
      transfer: String(body['transfer_id']),
    };
    return { status: 200, json: await attestUpload(deps, caller, said) };
  },
};

export const GATEWAY_DEVICE_ROUTES: readonly RouteDef[] = [
  postMessage,
  getWork,
  postDelivery,
  postRefusal,
  putHeldKeys,
  postAttestation,
];
