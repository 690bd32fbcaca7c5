import type { DeviceId, RecipientId } from '../../domain/ids.ts';
import {
  confirmRecipient,
  listRecipients,
  putRecipient,
  removeRecipient,
} from '../../usecases/recipient/recipients.ts';
import {
  confirmSigningKey,
  listSigningKeys,
  registerSigningKey,
  removeSigningKey,
} from '../../usecases/recipient/signing-keys.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { knownQuery, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse, PAGE_PARAMETERS, pageResponse } from '../schemas.ts';

const text = { type: 'string' };
const BODY_ERRORS = ['invalid_field', 'invalid_body', 'unsupported_media_type', 'payload_too_large'] as const;
const MANAGE_ERRORS = ['management_required', 'role_insufficient'] as const;

const getRecipients: RouteDef = {
  method: 'GET',
  path: '/v1/recipients',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listRecipients',
    summary: 'Whom files can be sealed to: addresses, public keys, fingerprints; newest first',
    description: 'Device keys ask for one address with `email`. A key with an `alarm` is another one than before.',
    parameters: [{ name: 'email', in: 'query', description: 'Exactly this address', schema: text }, ...PAGE_PARAMETERS],
    responses: { '200': pageResponse('recipients', 'Recipient') },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['email', 'cursor', 'limit']);
    const email = query.get('email') ?? undefined;
    return { status: 200, json: await listRecipients(deps, caller, { email, ...pageQuery(query) }) };
  },
};

const postRecipients: RouteDef = {
  method: 'POST',
  path: '/v1/recipients',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'putRecipient',
    summary: 'Enter an address with its public key (`fuselink keygen` prints one)',
    description: 'Another key for a known address needs `replace: true`, and is an alarm until it is confirmed.',
    requestBody: jsonRequest({ email: text, public_key: text, replace: { type: 'boolean' } }, ['email', 'public_key']),
    responses: {
      '201': jsonResponse('The recipient, new', 'Recipient'),
      '200': jsonResponse('The recipient was there already, with this key or now with it', 'Recipient'),
    },
    errors: [...MANAGE_ERRORS, ...BODY_ERRORS, 'recipient_key_changed', 'recipient_limit_reached'],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), {
      email: { type: 'string', required: true },
      public_key: { type: 'string', required: true },
      replace: { type: 'boolean' },
    });
    const { recipient, created } = await putRecipient(deps, caller, {
      email: String(body.email),
      publicKey: String(body.public_key),
      replace: body.replace === true,
    });
    return { status: created ? 201 : 200, json: recipient };
  },
};

const deleteRecipient: RouteDef = {
  method: 'DELETE',
  path: '/v1/recipients/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'removeRecipient',
    summary: 'Take an address out; its fingerprint is remembered, so that another key later is still an alarm',
    responses: { '200': jsonResponse('The recipient as it was', 'Recipient') },
    errors: [...MANAGE_ERRORS, 'not_found'],
  },
  async handle({ deps, caller, params }) {
    return { status: 200, json: await removeRecipient(deps, caller, params.id as RecipientId) };
  },
};

const confirmRecipientKey: RouteDef = {
  method: 'POST',
  path: '/v1/recipients/:id/confirm',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'confirmRecipient',
    summary: 'End the alarm of a changed key: its fingerprint was compared with the recipient',
    requestBody: jsonRequest({ fingerprint: text }, ['fingerprint']),
    responses: { '200': jsonResponse('The recipient, without an alarm', 'Recipient') },
    errors: [...MANAGE_ERRORS, ...BODY_ERRORS, 'not_found', 'recipient_key_changed'],
  },
  async handle({ deps, caller, params, req }) {
    const body = checkFields(await readJson(req), { fingerprint: { type: 'string', required: true } });
    const what = { id: params.id as RecipientId, fingerprint: String(body.fingerprint) };
    return { status: 200, json: await confirmRecipient(deps, caller, what) };
  },
};

const getSigningKeys: RouteDef = {
  method: 'GET',
  path: '/v1/signing-keys',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listSigningKeys',
    summary: 'The keys with which devices sign what they seal, newest first',
    description: 'Device keys ask for one device with `device`, by id or name.',
    parameters: [{ name: 'device', in: 'query', description: 'Id or name', schema: text }, ...PAGE_PARAMETERS],
    responses: { '200': pageResponse('signing_keys', 'SigningKey') },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['device', 'cursor', 'limit']);
    const device = query.get('device') ?? undefined;
    return { status: 200, json: await listSigningKeys(deps, caller, { device, ...pageQuery(query) }) };
  },
};

const putSigningKey: RouteDef = {
  method: 'PUT',
  path: '/v1/device/signing-key',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'registerSigningKey',
    summary: 'A device registers the key it signs with',
    description: 'The first is taken as it comes; another one only after an operator has removed the old one.',
    requestBody: jsonRequest({ public_key: text }, ['public_key']),
    responses: {
      '201': jsonResponse('The key, new on file', 'SigningKey'),
      '200': jsonResponse('The key was on file already', 'SigningKey'),
    },
    errors: ['device_key_required', 'role_insufficient', 'signing_key_changed', ...BODY_ERRORS],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), { public_key: { type: 'string', required: true } });
    const { signingKey, created } = await registerSigningKey(deps, caller, { publicKey: String(body.public_key) });
    return { status: created ? 201 : 200, json: signingKey };
  },
};

const deleteSigningKey: RouteDef = {
  method: 'DELETE',
  path: '/v1/signing-keys/:device_id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'removeSigningKey',
    summary: "Take a device's signing key off the files, so that it can register another one",
    responses: { '200': jsonResponse('The key as it was', 'SigningKey') },
    errors: [...MANAGE_ERRORS, 'not_found'],
  },
  async handle({ deps, caller, params }) {
    return { status: 200, json: await removeSigningKey(deps, caller, params.device_id as DeviceId) };
  },
};

const confirmDeviceSigningKey: RouteDef = {
  method: 'POST',
  path: '/v1/signing-keys/:device_id/confirm',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'confirmSigningKey',
    summary: 'End the alarm of a changed signing key: its fingerprint was compared with what the device shows',
    requestBody: jsonRequest({ fingerprint: text }, ['fingerprint']),
    responses: { '200': jsonResponse('The key, without an alarm', 'SigningKey') },
    errors: [...MANAGE_ERRORS, ...BODY_ERRORS, 'not_found', 'signing_key_changed'],
  },
  async handle({ deps, caller, params, req }) {
    const body = checkFields(await readJson(req), { fingerprint: { type: 'string', required: true } });
    const what = { deviceId: params.device_id as DeviceId, fingerprint: String(body.fingerprint) };
    return { status: 200, json: await confirmSigningKey(deps, caller, what) };
  },
};

/** The directory of keys for end-to-end sealing. */
export const RECIPIENT_ROUTES: readonly RouteDef[] = [
  getRecipients,
  postRecipients,
  deleteRecipient,
  confirmRecipientKey,
  getSigningKeys,
  putSigningKey,
  deleteSigningKey,
  confirmDeviceSigningKey,
];
