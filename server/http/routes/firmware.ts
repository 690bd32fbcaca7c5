import { FIRMWARE_BYTES_MAX } from '#sdk/protocol';
import { fromBase64url, fromUtf8 } from '../../domain/base64url.ts';
import type { DeviceId } from '../../domain/ids.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { imageForGateway, lookAtFirmware } from '../../usecases/firmware/device-firmware.ts';
import {
  addFirmware,
  findFirmware,
  imageAnswer,
  listFirmware,
  readImage,
  removeFirmware,
} from '../../usecases/firmware/firmware-images.ts';
import { distrustFirmwareKey, listFirmwareKeys, trustFirmwareKey } from '../../usecases/firmware/firmware-keys.ts';
import { oneHeader } from '../body/header-text.ts';
import { announcedBytes, checkFields, readJson, requestBytes } from '../body/request-body.ts';
import { knownQuery, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse, PAGE_PARAMETERS } from '../schemas.ts';

const text = { type: 'string' } as const;
const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const;
const whole = { type: 'integer', minimum: 0 } as const;
const IMAGE = {
  type: 'object',
  properties: { id: text, release: text, name: text, size: whole, sha256: digest, signer: digest, created_at: text },
  required: ['id', 'release', 'name', 'size', 'sha256', 'signer', 'created_at'],
} as const;
const KEY = {
  type: 'object',
  properties: { public_key: digest, name: text, created_at: text },
  required: ['public_key', 'name', 'created_at'],
} as const;

const IMAGE_PARAMETER = [{ name: 'image', in: 'query', required: true, schema: text }];

const MANAGE_ERRORS = ['management_required', 'role_insufficient'] as const;
const BODY_ERRORS = ['invalid_field', 'invalid_body', 'unsupported_media_type', 'payload_too_large'] as const;

const postFirmware: RouteDef = {
  method: 'POST',
  path: '/v1/firmware',
  auth: 'key',
  body: 'file',
  operation: {
    operationId: 'addFirmware',
    summary: 'An image, signed by a key the account trusts; verified before its first byte is taken',
    parameters: [
      {
        name: 'X-Firmware-Manifest',
        in: 'header',
        required: true,
        description: 'The line of JSON that is signed (firmware-bridge/SPEC.md), base64url',
        schema: text,
      },
      {
        name: 'X-Firmware-Signature',
        in: 'header',
        required: true,
        description: 'Ed25519 over "fuselink firmware v1", a line feed and that line; base64url',
        schema: text,
      },
    ],
    requestBody: {
      required: true,
      content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
    },
    responses: { '201': jsonResponse('The image; it may be rolled out', IMAGE) },
    errors: [
      ...MANAGE_ERRORS,
      'invalid_field',
      'payload_too_large',
      'digest_mismatch',
      'body_truncated',
      'conflict',
      'storage_full',
    ],
  },
  async handle({ deps, caller, req }) {
    const line = fromBase64url(oneHeader(req.headers['x-firmware-manifest']) ?? '');
    const signature = oneHeader(req.headers['x-firmware-signature']) ?? '';
    const announced = announcedBytes(req);
    if (announced !== null && announced > FIRMWARE_BYTES_MAX) {
      throw new FuselinkError('payload_too_large', `Expected at most ${FIRMWARE_BYTES_MAX} bytes, got ${announced}.`);
    }
    const what = { line: fromUtf8(line ?? new Uint8Array(0)), signature, bytes: requestBytes(req) };
    return { status: 201, json: await addFirmware(deps, caller, what) };
  },
};

const getFirmwareList: RouteDef = {
  method: 'GET',
  path: '/v1/firmware',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listFirmware',
    summary: 'Images, newest first',
    parameters: PAGE_PARAMETERS,
    responses: {
      '200': jsonResponse('A page of them', {
        type: 'object',
        properties: { images: { type: 'array', items: IMAGE }, next_cursor: { anyOf: [text, { type: 'null' }] } },
        required: ['images', 'next_cursor'],
      }),
    },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['cursor', 'limit']);
    return { status: 200, json: await listFirmware(deps, caller, pageQuery(query)) };
  },
};

const getFirmware: RouteDef = {
  method: 'GET',
  path: '/v1/firmware/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'firmware',
    summary: 'An image, by its id or release',
    responses: { '200': jsonResponse('The image', IMAGE) },
    errors: ['not_found', 'role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, []);
    return { status: 200, json: imageAnswer(await findFirmware(deps, caller, String(params['id']))) };
  },
};

const deleteFirmware: RouteDef = {
  method: 'DELETE',
  path: '/v1/firmware/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'removeFirmware',
    summary: 'Remove an image that no device waits for',
    responses: { '200': jsonResponse('As it was', IMAGE) },
    errors: [...MANAGE_ERRORS, 'not_found', 'conflict'],
  },
  async handle({ deps, caller, params }) {
    return { status: 200, json: await removeFirmware(deps, caller, String(params['id'])) };
  },
};

const getKeys: RouteDef = {
  method: 'GET',
  path: '/v1/firmware-keys',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listFirmwareKeys',
    summary: 'The public keys whose signatures make an image',
    responses: {
      '200': jsonResponse('All of them', {
        type: 'object',
        properties: { keys: { type: 'array', items: KEY } },
        required: ['keys'],
      }),
    },
    errors: ['role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, []);
    return { status: 200, json: { keys: await listFirmwareKeys(deps, caller) } };
  },
};

const postKey: RouteDef = {
  method: 'POST',
  path: '/v1/firmware-keys',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'trustFirmwareKey',
    summary: 'Trust a public key: what it signs may be rolled out',
    requestBody: jsonRequest({ public_key: digest, name: text }, ['public_key', 'name']),
    responses: { '201': jsonResponse('The key', KEY) },
    errors: [...MANAGE_ERRORS, ...BODY_ERRORS],
  },
  async handle({ deps, caller, req }) {
    const required = { type: 'string', required: true } as const;
    const body = checkFields(await readJson(req), { public_key: required, name: required });
    const what = { publicKey: String(body['public_key']), name: String(body['name']) };
    return { status: 201, json: await trustFirmwareKey(deps, caller, what) };
  },
};

const deleteKey: RouteDef = {
  method: 'DELETE',
  path: '/v1/firmware-keys/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'distrustFirmwareKey',
    summary: 'Trust a public key no longer: nothing it signed is taken or given out',
    responses: { '200': jsonResponse('The key as it was', KEY) },
    errors: [...MANAGE_ERRORS, 'not_found'],
  },
  async handle({ deps, caller, params }) {
    return { status: 200, json: await distrustFirmwareKey(deps, caller, String(params['id'])) };
  },
};

const getDeviceFirmware: RouteDef = {
  method: 'GET',
  path: '/v1/devices/:id/firmware',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'deviceFirmware',
    summary: 'The image a device has or is to get, and what it last said of it',
    responses: {
      '200': jsonResponse('How it stands', {
        type: 'object',
        properties: {
          device_id: text,
          image_id: text,
          release: text,
          state: { enum: ['wanted', 'staged', 'running', 'failed', 'withdrawn'] },
          reason: { anyOf: [text, { type: 'null' }] },
          at: text,
        },
        required: ['device_id', 'image_id', 'release', 'state', 'reason', 'at'],
      }),
    },
    errors: ['not_found', 'role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, []);
    return { status: 200, json: await lookAtFirmware(deps, caller, params['id'] as DeviceId) };
  },
};

const getGatewayImage: RouteDef = {
  method: 'GET',
  path: '/v1/gateway/firmware',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'gatewayFirmware',
    summary: 'The signed manifest of an image that a device of this gateway waits for',
    parameters: IMAGE_PARAMETER,
    responses: {
      '200': jsonResponse('What was signed, by whom', {
        type: 'object',
        properties: { manifest: text, signature: text, signer: digest },
        required: ['manifest', 'signature', 'signer'],
      }),
    },
    errors: ['not_found', 'role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['image']);
    const { manifest, signature, signer } = await imageForGateway(deps, caller, query.get('image') ?? '');
    return { status: 200, json: { manifest, signature, signer } };
  },
};

const getGatewayImageContent: RouteDef = {
  method: 'GET',
  path: '/v1/gateway/firmware/content',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'gatewayFirmwareContent',
    summary: 'The bytes of such an image',
    parameters: IMAGE_PARAMETER,
    responses: {
      '200': {
        description: 'The image',
        content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
      },
    },
    errors: ['not_found', 'role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, query, res }) {
    knownQuery(query, ['image']);
    const image = await imageForGateway(deps, caller, query.get('image') ?? '');
    res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': image.size });
    for await (const block of readImage(deps, image)) {
      if (res.destroyed) return null;
      if (!res.write(block)) await drained(res);
    }
    res.end();
    return null;
  },
};

/** Resolves when more can be written, or when nobody is there any more. */
function drained(res: { once(event: 'drain' | 'close', listener: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => {
    res.once('drain', resolve);
    res.once('close', resolve);
  });
}

export const FIRMWARE_ROUTES: readonly RouteDef[] = [
  postFirmware,
  getFirmwareList,
  getFirmware,
  deleteFirmware,
  getKeys,
  postKey,
  deleteKey,
  getDeviceFirmware,
  getGatewayImage,
  getGatewayImageContent,
];
