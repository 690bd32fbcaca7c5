import type { Role } from '#sdk/protocol';
import { ROLES } from '../../domain/auth/roles.ts';
import type { UserId } from '../../domain/ids.ts';
import { limitsOf } from '../../usecases/account/limits.ts';
import { changeAccount, ownAccount } from '../../usecases/account/settings.ts';
import {
  addUser,
  changeRole,
  listUsers,
  removeUser,
  resetSecondFactor,
  userAnswer,
} from '../../usecases/account/users.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { knownQuery, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse, PAGE_PARAMETERS, pageResponse } from '../schemas.ts';

const BODY_ERRORS = ['invalid_field', 'invalid_body', 'unsupported_media_type', 'payload_too_large'] as const;
const OWNER_ERRORS = ['management_required', 'role_insufficient'] as const;

const SWITCHES = {
  keys_may_manage: { type: 'boolean' },
  require_sealed: { type: 'boolean' },
  alarms_quarantine: { type: 'boolean' },
  rotations_paused: { type: 'boolean' },
} as const;

export const getAccount: RouteDef = {
  method: 'GET',
  path: '/v1/account',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'getAccount',
    summary: "The caller's account",
    responses: { '200': jsonResponse('The account', 'Account') },
    errors: ['role_insufficient'],
  },
  async handle({ deps, caller }) {
    return { status: 200, json: await ownAccount(deps, caller) };
  },
};

export const patchAccount: RouteDef = {
  method: 'PATCH',
  path: '/v1/account',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'changeAccount',
    summary: 'What the account allows; every switch is off until it is set',
    description:
      'keys_may_manage: API keys alone may manage keys and devices. require_sealed: files that are not sealed end to end are refused. alarms_quarantine: the alarm that a key was copied quarantines its device. rotations_paused: no rotation mints a key.',
    requestBody: jsonRequest(SWITCHES, []),
    responses: { '200': jsonResponse('The account', 'Account') },
    errors: [...OWNER_ERRORS, ...BODY_ERRORS],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), SWITCHES);
    const changes = {
      keysMayManage: body.keys_may_manage as boolean | undefined,
      requireSealed: body.require_sealed as boolean | undefined,
      alarmsQuarantine: body.alarms_quarantine as boolean | undefined,
      rotationsPaused: body.rotations_paused as boolean | undefined,
    };
    return { status: 200, json: await changeAccount(deps, caller, changes) };
  },
};

export const getLimits: RouteDef = {
  method: 'GET',
  path: '/v1/limits',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'getLimits',
    summary: 'What this installation allows the account',
    responses: { '200': jsonResponse('The limits', 'Limits') },
    errors: ['role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, http, query }) {
    knownQuery(query, []);
    return { status: 200, json: await limitsOf(deps, caller, http.version) };
  },
};

export const getUsers: RouteDef = {
  method: 'GET',
  path: '/v1/users',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listUsers',
    summary: 'Who signs in to the account, newest first',
    parameters: PAGE_PARAMETERS,
    responses: { '200': pageResponse('users', 'User') },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['cursor', 'limit']);
    return { status: 200, json: await listUsers(deps, caller, pageQuery(query)) };
  },
};

export const postUsers: RouteDef = {
  method: 'POST',
  path: '/v1/users',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'addUser',
    summary: 'One more person; what their authenticator needs is shown once',
    requestBody: jsonRequest({ email: { type: 'string' }, role: { enum: ROLES } }, ['email', 'role']),
    responses: { '201': jsonResponse('The user, and what is shown only now', 'UserCreated') },
    errors: [...OWNER_ERRORS, ...BODY_ERRORS, 'conflict'],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), {
      email: { type: 'string', required: true },
      role: { type: 'string', required: true },
    });
    const user = await addUser(deps, caller, { email: String(body.email), role: roleOf(body.role) });
    return {
      status: 201,
      json: {
        ...userAnswer(user.row),
        totp_uri: user.totpUri,
        recovery_codes: user.recoveryCodes,
        setup_secret: user.setupSecret,
      },
    };
  },
};

export const patchUser: RouteDef = {
  method: 'PATCH',
  path: '/v1/users/:id',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'changeRole',
    summary: 'Another role, from the very next request on',
    requestBody: jsonRequest({ role: { enum: ROLES } }, ['role']),
    responses: { '200': jsonResponse('The user', 'User') },
    errors: [...OWNER_ERRORS, ...BODY_ERRORS, 'not_found', 'conflict'],
  },
  async handle({ deps, caller, req, params }) {
    const body = checkFields(await readJson(req), { role: { type: 'string', required: true } });
    return { status: 200, json: await changeRole(deps, caller, { id: params.id as UserId, role: roleOf(body.role) }) };
  },
};

export const deleteUser: RouteDef = {
  method: 'DELETE',
  path: '/v1/users/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'removeUser',
    summary: 'Take a user away; every session of theirs ends',
    responses: { '204': { description: 'Gone' } },
    errors: [...OWNER_ERRORS, 'not_found', 'conflict'],
  },
  async handle({ deps, caller, params }) {
    await removeUser(deps, caller, params.id as UserId);
    return { status: 204 };
  },
};

export const postResetSecondFactor: RouteDef = {
  method: 'POST',
  path: '/v1/users/:id/reset-second-factor',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'resetSecondFactor',
    summary: 'For who lost authenticator and codes: everything of it anew, every session of theirs ends',
    responses: { '200': jsonResponse('Shown only now', 'SecondFactorReset') },
    errors: [...OWNER_ERRORS, 'not_found', 'conflict'],
  },
  async handle({ deps, caller, params }) {
    const reset = await resetSecondFactor(deps, caller, params.id as UserId);
    return {
      status: 200,
      json: {
        email: reset.email,
        totp_uri: reset.totpUri,
        recovery_codes: reset.recoveryCodes,
        setup_secret: reset.setupSecret,
      },
    };
  },
};

function roleOf(value: unknown): Role {
  const role = ROLES.find((known) => known === value);
  if (role !== undefined) return role;
  const detail = `expected one of ${ROLES.join(', ')}, got another`;
  throw new FuselinkError('invalid_field', `role: ${detail}.`, { errors: [{ field: 'role', detail }] });
}
