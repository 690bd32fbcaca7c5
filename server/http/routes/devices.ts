import { DEVICE_NAME_CHARS_MAX } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import { enrolDevice } from '../../usecases/device/enrol-device.ts';
import { changeDevice, listFleet, lookAtDevice } from '../../usecases/device/fleet.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { knownQuery, oneOf, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse, PAGE_PARAMETERS } from '../schemas.ts';

const STATES = ['IDLE', 'WANTED', 'MINTED', 'PROVEN', 'OVERDUE', 'QUARANTINED', 'LOST'] as const;
const texts = { type: 'array', items: { type: 'string' } };

export const getDevices: RouteDef = {
  method: 'GET',
  path: '/v1/devices',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listDevices',
    summary: 'The fleet with how its keys stand, newest first',
    description:
      'A search looks through 20,000 devices at most: a page may then have fewer rows than asked for, and still a next_cursor to go on from. With state, devices come in the order of their ids. `total` counts the whole fleet.',
    parameters: [
      {
        name: 'q',
        in: 'query',
        description: 'Part of a name, profile, tag or group, in any case; or a whole id',
        schema: { type: 'string', maxLength: DEVICE_NAME_CHARS_MAX },
      },
      { name: 'tag', in: 'query', schema: { type: 'string' } },
      { name: 'profile', in: 'query', schema: { type: 'string' } },
      { name: 'state', in: 'query', description: 'State of the rotation', schema: { enum: STATES } },
      ...PAGE_PARAMETERS,
    ],
    responses: {
      '200': jsonResponse('One page', {
        type: 'object',
        properties: {
          devices: { type: 'array', items: { $ref: '#/components/schemas/FleetDevice' } },
          next_cursor: { anyOf: [{ type: 'string' }, { type: 'null' }] },
          total: { type: 'integer', minimum: 0 },
        },
        required: ['devices', 'next_cursor', 'total'],
      }),
    },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['q', 'tag', 'profile', 'state', 'cursor', 'limit']);
    const page = await listFleet(deps, caller, {
      text: textOf(query, 'q'),
      tag: textOf(query, 'tag'),
      profile: textOf(query, 'profile'),
      rotationState: oneOf(query, 'state', STATES),
      ...pageQuery(query),
    });
    return { status: 200, json: page };
  },
};

function textOf(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name) ?? undefined;
  if (text === undefined || text.length <= DEVICE_NAME_CHARS_MAX) return text;
  const detail = `expected at most ${DEVICE_NAME_CHARS_MAX} characters, got ${text.length}`;
  throw new FuselinkError('invalid_field', `${name}: ${detail}.`, { errors: [{ field: name, detail }] });
}

export const getFleetDevice: RouteDef = {
  method: 'GET',
  path: '/v1/devices/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'getDevice',
    summary: 'One device and how its key stands',
    responses: { '200': jsonResponse('The device', 'FleetDevice') },
    errors: ['not_found', 'role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, []);
    return { status: 200, json: await lookAtDevice(deps, caller, params['id'] as DeviceId) };
  },
};

export const patchDevice: RouteDef = {
  method: 'PATCH',
  path: '/v1/devices/:id',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'changeDevice',
    summary: 'Another name, profile, tags or groups: what is given is changed, lists as a whole',
    requestBody: jsonRequest({ name: { type: 'string' }, profile: { type: 'string' }, tags: texts, groups: texts }, []),
    responses: { '200': jsonResponse('The device', 'FleetDevice') },
    errors: [
      'management_required',
      'role_insufficient',
      'not_found',
      'conflict',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
      'payload_too_large',
    ],
  },
  async handle({ deps, caller, params, req }) {
    const body = checkFields(await readJson(req), {
      name: { type: 'string' },
      profile: { type: 'string' },
      tags: { type: 'strings' },
      groups: { type: 'strings' },
    });
    const changes = {
      name: body.name as string | undefined,
      profile: body.profile as string | undefined,
      tags: body.tags as string[] | undefined,
      groups: body.groups as string[] | undefined,
    };
    return { status: 200, json: await changeDevice(deps, caller, params['id'] as DeviceId, changes) };
  },
};

export const postDevices: RouteDef = {
  method: 'POST',
  path: '/v1/devices',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'enrolDevice',
    summary: 'A new device and its first key, shown once',
    requestBody: jsonRequest({ name: { type: 'string' }, profile: { type: 'string' }, tags: texts, groups: texts }, [
      'name',
    ]),
    responses: {
      '201': jsonResponse('The device and its key', {
        type: 'object',
        properties: {
          device: { $ref: '#/components/schemas/Device' },
          device_id: { type: 'string' },
          api_key: { type: 'string' },
          recovery_secret: { type: 'string' },
        },
        required: ['device', 'device_id', 'api_key', 'recovery_secret'],
      }),
    },
    errors: [
      'management_required',
      'role_insufficient',
      'conflict',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
    ],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), {
      name: { type: 'string', required: true },
      profile: { type: 'string' },
      tags: { type: 'strings' },
      groups: { type: 'strings' },
    });
    const { device, key, recoverySecret } = await enrolDevice(deps, caller, {
      name: String(body.name),
      profile: body.profile as string | undefined,
      tags: body.tags as string[] | undefined,
      groups: body.groups as string[] | undefined,
    });
    return { status: 201, json: { device, device_id: device.id, api_key: key, recovery_secret: recoverySecret } };
  },
};
