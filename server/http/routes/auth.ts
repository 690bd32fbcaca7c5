import { renderSVG } from 'uqr';
import { SESSION_SECONDS, type SignInAnswer, type WhoAnswer } from '#sdk/protocol';
import { createFirstAccount } from '../../usecases/account/first-account.ts';
import {
  beginEnrolment,
  confirmAuthenticator,
  renewRecoveryCodes,
  replaceAuthenticator,
} from '../../usecases/auth/enrol.ts';
import { signOut } from '../../usecases/auth/sessions.ts';
import { type SignedIn, signIn } from '../../usecases/auth/sign-in.ts';
import { keyMayManage } from '../../usecases/key/authenticate.ts';
import { checkFields, readJson } from '../body/request-body.ts';
import { knownQuery, oneOf } from '../query.ts';
import type { RequestContext, RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse } from '../schemas.ts';
import { refuseCrossSite, sessionCookie } from '../session-cookie.ts';

const text = { type: 'string' };
const PASSWORD = { email: text, api_key: text };
const BODY_ERRORS = ['invalid_field', 'invalid_body', 'unsupported_media_type', 'payload_too_large'] as const;
const SIGN_IN_ERRORS = ['sign_in_failed', 'sign_in_limit_exceeded', 'key_revoked', ...BODY_ERRORS] as const;

export const postLogin: RouteDef = {
  method: 'POST',
  path: '/v1/auth/login',
  auth: 'none',
  body: 'json',
  operation: {
    operationId: 'signIn',
    summary: 'E-mail, API key and a code: a session cookie and a JWT',
    description:
      'The first code accepted completes the set-up of the authenticator. A recovery code works once. Wrong attempts make the next one wait.',
    requestBody: jsonRequest({ ...PASSWORD, totp: text, recovery_code: text }, ['email', 'api_key']),
    responses: { '200': jsonResponse('Signed in; the cookie is set as well', 'SignIn') },
    errors: [...SIGN_IN_ERRORS, 'totp_required', 'cross_site_request'],
  },
  async handle({ deps, req, from, publicUrl }) {
    refuseCrossSite(req, publicUrl);
    const body = checkFields(await readJson(req), {
      email: { type: 'string', required: true },
      api_key: { type: 'string', required: true },
      totp: { type: 'string' },
      recovery_code: { type: 'string' },
    });
    const signedIn = await signIn(
      deps,
      { email: String(body.email), apiKey: String(body.api_key), from },
      { totp: said(body.totp), recoveryCode: said(body.recovery_code) },
    );
    return {
      status: 200,
      headers: { 'set-cookie': sessionCookie(signedIn.session.cookie, { publicUrl, seconds: SESSION_SECONDS }) },
      json: signInAnswer(signedIn),
    };
  },
};

function said(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function signInAnswer({ session, user, recoveryCodesLeft }: SignedIn): SignInAnswer {
  return {
    token: session.token,
    expires_at: new Date(session.row.expires_at_ms).toISOString(),
    session_id: session.row.id,
    account_id: user.account_id,
    email: user.email,
    role: user.role,
    recovery_codes_left: recoveryCodesLeft,
  };
}

export const postLogout: RouteDef = {
  method: 'POST',
  path: '/v1/auth/logout',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'signOut',
    summary: 'End the session: its cookie and its JWT are refused from the next request on',
    parameters: [
      {
        name: 'everywhere',
        in: 'query',
        description: 'End every session of this user',
        schema: { enum: ['true', 'false'] },
      },
    ],
    responses: { '204': { description: 'Ended' } },
    errors: ['invalid_field'],
  },
  async handle({ deps, caller, publicUrl, query }) {
    knownQuery(query, ['everywhere']);
    await signOut(deps, caller, { everywhere: oneOf(query, 'everywhere', ['true', 'false']) === 'true' });
    return { status: 204, headers: { 'set-cookie': sessionCookie('', { publicUrl, seconds: 0 }) } };
  },
};

export const getSession: RouteDef = {
  method: 'GET',
  path: '/v1/auth/session',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'whoAmI',
    summary: 'Who this request is from, and what it may do',
    responses: { '200': jsonResponse('The caller', 'Who') },
  },
  async handle({ deps, caller }) {
    const { session, accountId: account_id, role } = caller;
    const who: WhoAnswer = {
      account_id,
      email: session?.email ?? null,
      role,
      via: caller.via,
      key_id: caller.key.id,
      device_id: caller.deviceId,
      // Reading this changes nothing, so nobody has asked the account yet.
      may_manage:
        caller.mayManage || (caller.via === 'key' && (await keyMayManage(deps, { ...caller.key, account_id, role }))),
      session_id: session?.id ?? null,
      expires_at: session === undefined ? null : new Date(session.expiresAtMs).toISOString(),
    };
    return { status: 200, json: who };
  },
};

export const postEnrol: RouteDef = {
  method: 'POST',
  path: '/v1/auth/totp/enrol',
  auth: 'none',
  body: 'json',
  operation: {
    operationId: 'enrolAuthenticator',
    summary: 'A new authenticator before the first code, with the setup secret of "account create"',
    requestBody: jsonRequest({ ...PASSWORD, setup_secret: text }, ['email', 'api_key', 'setup_secret']),
    responses: { '200': jsonResponse('Shown only now', 'Enrolment') },
    errors: [...SIGN_IN_ERRORS, 'setup_secret_invalid', 'totp_already_enrolled', 'cross_site_request'],
  },
  async handle({ deps, req, from, publicUrl }) {
    refuseCrossSite(req, publicUrl);
    const body = checkFields(await readJson(req), {
      email: { type: 'string', required: true },
      api_key: { type: 'string', required: true },
      setup_secret: { type: 'string', required: true },
    });
    const enrolment = await beginEnrolment(deps, {
      email: String(body.email),
      apiKey: String(body.api_key),
      setupSecret: String(body.setup_secret),
      from,
    });
    return { status: 200, json: shownOnce(enrolment) };
  },
};

/** What an authenticator is set up with, and the same as a QR code a page can show. */
export function shownOnce(what: { totpUri: string; recoveryCodes?: string[] }): object {
  return {
    totp_uri: what.totpUri,
    totp_qr_svg: renderSVG(what.totpUri),
    ...(what.recoveryCodes === undefined ? {} : { recovery_codes: what.recoveryCodes }),
  };
}

export const postFirstAccount: RouteDef = {
  method: 'POST',
  path: '/v1/auth/first-account',
  auth: 'none',
  body: 'json',
  operation: {
    operationId: 'createFirstAccount',
    summary: 'The first account of a new server, with the secret of the set-up link it printed',
    description: 'The link works once, and only while the server has no account.',
    requestBody: jsonRequest({ email: text, setup_secret: text }, ['email', 'setup_secret']),
    responses: { '201': jsonResponse('Shown only now', 'FirstAccount') },
    errors: ['setup_secret_invalid', 'conflict', 'cross_site_request', ...BODY_ERRORS],
  },
  async handle({ deps, req, publicUrl }) {
    refuseCrossSite(req, publicUrl);
    const body = checkFields(await readJson(req), {
      email: { type: 'string', required: true },
      setup_secret: { type: 'string', required: true },
    });
    const created = await createFirstAccount(deps, {
      email: String(body.email),
      setupSecret: String(body.setup_secret),
    });
    const { accountId: account_id, email, apiKey: api_key, setupSecret: setup_secret } = created;
    return { status: 201, json: { account_id, email, api_key, setup_secret, ...shownOnce(created) } };
  },
};

const CODE_REQUEST = jsonRequest({ totp: text }, ['totp']);
const CODE_ERRORS = [
  ...BODY_ERRORS,
  'sign_in_failed',
  'sign_in_limit_exceeded',
  'management_required',
  'conflict',
] as const;

async function codeOf({ req }: RequestContext): Promise<string> {
  const body = checkFields(await readJson(req), { totp: { type: 'string', required: true } });
  return String(body.totp);
}

export const postReplace: RouteDef = {
  method: 'POST',
  path: '/v1/auth/totp/replace',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'replaceAuthenticator',
    summary: 'Begin to move to another authenticator; the present one stays good until the new one shows a code',
    requestBody: CODE_REQUEST,
    responses: { '200': jsonResponse('Shown only now', 'NewAuthenticator') },
    errors: CODE_ERRORS,
  },
  async handle(context) {
    const { totpUri } = await replaceAuthenticator(context.deps, context.caller, await codeOf(context));
    return { status: 200, json: shownOnce({ totpUri }) };
  },
};

export const postConfirm: RouteDef = {
  method: 'POST',
  path: '/v1/auth/totp/confirm',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'confirmAuthenticator',
    summary: 'The first code of the new authenticator: it takes over, and other sessions end',
    requestBody: CODE_REQUEST,
    responses: { '204': { description: 'It has taken over' } },
    errors: CODE_ERRORS,
  },
  async handle(context) {
    await confirmAuthenticator(context.deps, context.caller, await codeOf(context));
    return { status: 204 };
  },
};

export const postRecoveryCodes: RouteDef = {
  method: 'POST',
  path: '/v1/auth/totp/recovery-codes',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'renewRecoveryCodes',
    summary: 'Ten new recovery codes; the old ones are worth nothing from now on',
    requestBody: CODE_REQUEST,
    responses: {
      '200': jsonResponse('Shown only now', {
        type: 'object',
        properties: { recovery_codes: { type: 'array', items: text } },
        required: ['recovery_codes'],
      }),
    },
    errors: CODE_ERRORS,
  },
  async handle(context) {
    const codes = await renewRecoveryCodes(context.deps, context.caller, await codeOf(context));
    return { status: 200, json: { recovery_codes: codes } };
  },
};
