import { HEADER_DEVICE, parseDevicePosition } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { recoverDevice } from '../../usecases/rotation/recover.ts';
import { offerKey, registerKey } from '../../usecases/rotation/register.ts';
import { ownDevice, reportStatus } from '../../usecases/rotation/report.ts';
import { oneHeader } from '../body/header-text.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse } from '../schemas.ts';

const text = { type: 'string' } as const;
const whole = { type: 'integer', minimum: 0 } as const;
const fingerprint = { type: 'string', pattern: '^[0-9a-f]{16}$' } as const;
const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' } as const;

/** What any call with a JSON body may be refused for. */
const BODY_ERRORS = ['invalid_field', 'invalid_body', 'unsupported_media_type', 'payload_too_large'] as const;
const REGISTRATION_ERRORS = [
  ...BODY_ERRORS,
  'rotation_paused',
  'rotation_refused',
  'rotation_superseded',
  'status_limit_exceeded',
] as const;

export const getDevice: RouteDef = {
  method: 'GET',
  path: '/v1/device',
  auth: 'key',
  signed: true,
  quarantined: true,
  body: 'none',
  operation: {
    operationId: 'ownDevice',
    summary: 'The calling device: its key, its wanted rotation, limits, server time',
    responses: { '200': jsonResponse('The device as the server sees it', 'DeviceSelf') },
    errors: ['device_key_required', 'not_found'],
  },
  async handle({ deps, caller }) {
    return { status: 200, json: await ownDevice(deps, caller) };
  },
};

export const postDeviceStatus: RouteDef = {
  method: 'POST',
  path: '/v1/device/status',
  auth: 'key',
  signed: true,
  quarantined: true,
  body: 'json',
  operation: {
    operationId: 'reportStatus',
    summary: 'The device reports where it stands; under a pending key this is the proof of that key',
    description:
      'Ten a minute of its own, beside the limit of uploads. What the body leaves out of phase, boot, sequence and boot_tag is taken from `Fuselink-Device`, where the device sends that.',
    requestBody: jsonRequest(
      {
        phase: { enum: ['EMPTY', 'SETTLED', 'STAGED', 'PROVING', 'PROVEN', 'LIMBO'] },
        generation: whole,
        boot: whole,
        sequence: whole,
        boot_tag: { type: 'string', pattern: '^[0-9a-f]{8,32}$' },
      },
      [],
    ),
    responses: { '200': jsonResponse('The report is stored', 'DeviceSelf') },
    errors: [...BODY_ERRORS, 'device_key_required', 'status_limit_exceeded', 'not_found'],
  },
  async handle({ deps, caller, req }) {
    const at = parseDevicePosition(oneHeader(req.headers[HEADER_DEVICE]) ?? '');
    const inHeader = at === null ? {} : { phase: at.phase, boot: at.boot, sequence: at.sequence, boot_tag: at.bootTag };
    const body = checkFields(
      { ...inHeader, ...(await readJson(req)) },
      {
        phase: { type: 'string', required: true },
        generation: { type: 'number' },
        boot: { type: 'number', required: true },
        sequence: { type: 'number', required: true },
        boot_tag: { type: 'string', required: true },
      },
    );
    const answer = await reportStatus(deps, caller, {
      phase: String(body['phase']),
      generation: body['generation'] === undefined ? undefined : Number(body['generation']),
      boot: Number(body['boot']),
      sequence: Number(body['sequence']),
      bootTag: String(body['boot_tag']),
    });
    return { status: 200, json: answer };
  },
};

export const postDeviceRotation: RouteDef = {
  method: 'POST',
  path: '/v1/device/rotation',
  auth: 'key',
  signed: true,
  quarantined: true,
  body: 'json',
  operation: {
    operationId: 'registerKey',
    summary: 'The device registers the digest of the key it has staged, or asks for an offer',
    description:
      'With `sha256` and `fingerprint`: the device made the key itself. With `offer: true`: the server makes one and answers with it, wrapped by AES key wrap (RFC 3394) under HMAC-SHA-256(D, "fuselink wrap v1").',
    requestBody: jsonRequest({ generation: whole, sha256: digest, fingerprint, offer: { type: 'boolean' } }, [
      'generation',
    ]),
    responses: {
      '200': jsonResponse('The key is pending (or waits for approval), or the offer', {
        anyOf: [
          { $ref: '#/components/schemas/Registration' },
          {
            type: 'object',
            properties: { generation: whole, base: fingerprint, fingerprint, wrapped_key: text },
            required: ['generation', 'base', 'fingerprint', 'wrapped_key'],
          },
        ],
      }),
    },
    errors: [...REGISTRATION_ERRORS, 'device_key_required'],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), {
      generation: { type: 'number', required: true },
      sha256: { type: 'string' },
      fingerprint: { type: 'string' },
      offer: { type: 'boolean' },
    });
    const generation = Number(body['generation']);
    const asks = body['offer'] === true;
    const staged = body['sha256'] !== undefined && body['fingerprint'] !== undefined;
    if (asks === staged) {
      const detail = `expected sha256 and fingerprint of a staged key, or offer: true, got ${asks ? 'both' : 'neither'}`;
      throw new FuselinkError('invalid_field', `offer: ${detail}.`, { errors: [{ field: 'offer', detail }] });
    }
    if (asks) return { status: 200, json: await offerKey(deps, caller, generation) };
    const key = { generation, sha256: String(body['sha256']), fingerprint: String(body['fingerprint']) };
    return { status: 200, json: await registerKey(deps, caller, key) };
  },
};

export const postDeviceRecovery: RouteDef = {
  method: 'POST',
  path: '/v1/device/recovery',
  // The recovery secret vouches for the request: a device that needs it has no key that is accepted.
  auth: 'none',
  body: 'json',
  operation: {
    operationId: 'recoverDevice',
    summary: 'Registers a staged key on the word of the recovery secret alone',
    description:
      'proof = HMAC-SHA-256(SHA-256("fuselink recovery v1" ‖ secret), "fuselink recovery proof v1", device_id, generation, base, fingerprint, sha256, joined by line feeds), in hex. A device that signs its requests adds wrapped_secret: the device secret of the staged key, wrapped by AES key wrap (RFC 3394) under HMAC-SHA-256(SHA-256("fuselink recovery v1" ‖ secret), "fuselink secret wrap v1").',
    requestBody: jsonRequest(
      {
        device_id: text,
        generation: whole,
        base: fingerprint,
        sha256: digest,
        fingerprint,
        proof: digest,
        wrapped_secret: { type: 'string', pattern: '^[0-9a-f]{80}$' },
      },
      ['device_id', 'generation', 'base', 'sha256', 'fingerprint', 'proof'],
    ),
    responses: { '200': jsonResponse('The key is pending', 'Registration') },
    errors: [...REGISTRATION_ERRORS, 'recovery_refused', 'conflict'],
  },
  async handle({ deps, req, from }) {
    const required = { type: 'string', required: true } as const;
    const body = checkFields(await readJson(req), {
      device_id: required,
      generation: { type: 'number', required: true },
      base: required,
      sha256: required,
      fingerprint: required,
      proof: required,
      wrapped_secret: { type: 'string' },
    });
    const answer = await recoverDevice(
      deps,
      {
        deviceId: String(body['device_id']) as DeviceId,
        generation: Number(body['generation']),
        base: String(body['base']),
        sha256: String(body['sha256']),
        fingerprint: String(body['fingerprint']),
        proof: String(body['proof']),
        wrappedSecret: body['wrapped_secret'] === undefined ? undefined : String(body['wrapped_secret']),
      },
      from,
    );
    return { status: 200, json: answer };
  },
};

export const DEVICE_SELF_ROUTES: readonly RouteDef[] = [
  getDevice,
  postDeviceStatus,
  postDeviceRotation,
  postDeviceRecovery,
];
