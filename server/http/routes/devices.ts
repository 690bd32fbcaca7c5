import { enrolDevice, listDevices } from '../../usecases/device/enrol-device.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { knownQuery, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse, PAGE_PARAMETERS, pageResponse } from '../schemas.ts';

const texts = { type: 'array', items: { type: 'string' } };

export const getDevices: RouteDef = {
  method: 'GET',
  path: '/v1/devices',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listDevices',
    summary: 'The fleet, newest first',
    parameters: PAGE_PARAMETERS,
    responses: { '200': pageResponse('devices', 'Device') },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['cursor', 'limit']);
    return { status: 200, json: await listDevices(deps, caller, pageQuery(query)) };
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
