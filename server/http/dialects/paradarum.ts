import { ERRORS } from '#sdk/protocol';
import { newPdmKey } from '../../domain/credential/pdm-key.ts';
import type { KeyId } from '../../domain/ids.ts';
import { listGroups, purgeGroup } from '../../usecases/account/groups.ts';
import { numberOf, subjectOf } from '../../usecases/account/numbers.ts';
import { ownAccount } from '../../usecases/account/settings.ts';
import { type SignedIn, signInFirstStep, signInSecondStep } from '../../usecases/auth/sign-in.ts';
import type { Caller } from '../../usecases/caller.ts';
import type { Deps } from '../../usecases/deps.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { createKey, listKeys, revokeKey } from '../../usecases/key/manage-keys.ts';
import { problemAnswer } from '../problem.ts';
import type { Answer, Dialect, RequestContext, RouteDef } from '../route.ts';
import { jsonResponse } from '../schemas.ts';
import { caselessBody, textField } from './json-body.ts';

/** Paradarum's API: every answer in one envelope, whole numbers for ids, paths in any case. Translation only. */
const ENVELOPE = {
  type: 'object',
  properties: { succeeded: { type: 'boolean' }, message: { type: 'string' }, data: {} },
  required: ['succeeded', 'message', 'data'],
};

export const PARADARUM: Dialect = {
  name: 'paradarum',
  ignoresCase: true,
  problem(error) {
    const { headers = {} } = problemAnswer(error);
    return { status: ERRORS[error.code].status, headers, json: envelope(false, error.message, null) };
  },
  errorContent: { 'application/json': { schema: ENVELOPE } },
};

function envelope(succeeded: boolean, message: string, data: unknown): object {
  return { succeeded, message, data };
}

function done(message: string, data: unknown, status = 200): Answer {
  return { status, json: envelope(true, message, data) };
}

function route(
  about: Pick<RouteDef, 'method' | 'path' | 'auth' | 'body'> & {
    operationId: string;
    summary: string;
    status?: number;
    fields?: readonly string[];
  },
  handle: (context: RequestContext) => Promise<Answer>,
): RouteDef {
  const properties = Object.fromEntries((about.fields ?? []).map((name) => [name, { type: 'string' }]));
  return {
    method: about.method,
    path: about.path,
    auth: about.auth,
    body: about.body,
    dialect: PARADARUM,
    operation: {
      operationId: about.operationId,
      summary: about.summary,
      ...(about.fields === undefined
        ? {}
        : {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: { type: 'object', properties, required: about.fields } } },
            },
          }),
      responses: { [about.status ?? 200]: jsonResponse(about.summary, ENVELOPE) },
    },
    handle,
  };
}

function tokenData({ session }: SignedIn): object {
  return { Token: session.token, ExpiresAt: new Date(session.row.expires_at_ms).toISOString() };
}

export const paradarumLogin = route(
  {
    method: 'POST',
    path: '/api/auth/login',
    auth: 'none',
    body: 'json',
    operationId: 'paradarumLogin',
    summary: 'Log in with e-mail and API key; then, usually, a code',
    fields: ['username', 'password'],
  },
  async ({ deps, req, from }) => {
    const body = await caselessBody(req);
    const password = { email: textField(body, 'username'), apiKey: textField(body, 'password'), from };
    const step = await signInFirstStep(deps, password);
    if (step.kind === 'signed-in') return done('Login successful.', tokenData(step.signedIn));
    return done('Two-factor code required.', { RequiresTwoFactor: true, TwoFactorToken: step.token });
  },
);

export const paradarumVerify = route(
  {
    method: 'POST',
    path: '/api/auth/2fa/verify',
    auth: 'none',
    body: 'json',
    operationId: 'paradarumVerify',
    summary: 'The code of an authenticator, or a recovery code: a token for 24 hours',
    fields: ['twoFactorToken', 'code'],
  },
  async ({ deps, req, from }) => {
    const body = await caselessBody(req);
    const token = textField(body, 'twoFactorToken');
    const signedIn = await signInSecondStep(deps, { token, code: textField(body, 'code'), from });
    return done('Login successful.', tokenData(signedIn));
  },
);

async function keyNumber(deps: Deps, caller: Caller, id: string): Promise<number> {
  return numberOf(deps, { accountId: caller.accountId, kind: 'key', subject: id });
}

export const paradarumCreateKey = route(
  {
    method: 'POST',
    path: '/api/account/apikeys',
    auth: 'key',
    body: 'json',
    operationId: 'paradarumCreateKey',
    summary: 'A new key, shown once',
    status: 201,
    fields: ['name'],
  },
  async ({ deps, caller, req }) => {
    const name = textField(await caselessBody(req), 'name');
    const created = await createKey(deps, caller, { name, key: newPdmKey(deps.random) });
    const id = await keyNumber(deps, caller, created.id);
    const data = { id, name: created.name, key: created.key, keyPrefix: created.prefix, createdAt: created.created_at };
    return done('API key created. Copy it now: it is shown only once.', data, 201);
  },
);

export const paradarumListKeys = route(
  {
    method: 'GET',
    path: '/api/account/apikeys',
    auth: 'key',
    body: 'none',
    operationId: 'paradarumListKeys',
    summary: 'Account keys, newest first',
  },
  async ({ deps, caller }) => {
    const data: object[] = [];
    let cursor: string | undefined;
    do {
      const page = await listKeys(deps, caller, { kind: 'account', cursor, limit: 200 });
      for (const key of page.keys) {
        data.push({
          id: await keyNumber(deps, caller, key.id),
          name: key.name,
          keyPrefix: key.prefix,
          createdAt: key.created_at,
          lastUsedAt: key.last_used_at,
          isRevoked: key.state === 'revoked',
          revokedAt: key.revoked_at,
        });
      }
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    const paging = { pageNumber: 1, pageSize: data.length, totalPages: 1, totalRecords: data.length };
    return { status: 200, json: { ...envelope(true, '', data), ...paging } };
  },
);

export const paradarumRevokeKey = route(
  {
    method: 'DELETE',
    path: '/api/account/apikeys/:id',
    auth: 'key',
    body: 'none',
    operationId: 'paradarumRevokeKey',
    summary: 'Revoke a key for the very next request',
  },
  async ({ deps, caller, params, query }) => {
    const { accountId } = caller;
    const id = await subjectOf(deps, { accountId, kind: 'key', number: params.id ?? '' });
    if (id === null) throw new FuselinkError('not_found', 'API key not found.');
    await revokeKey(deps, caller, { id: id as KeyId, confirmLast: query.get('confirm') === 'last-key' });
    return done('API key revoked.', true);
  },
);

export const paradarumAccount = route(
  {
    method: 'GET',
    path: '/api/account',
    auth: 'key',
    body: 'none',
    operationId: 'paradarumAccount',
    summary: 'The account of the credential',
  },
  async ({ deps, caller }) => {
    const account = await ownAccount(deps, caller);
    const id = await numberOf(deps, { accountId: caller.accountId, kind: 'account', subject: caller.accountId });
    return done('', { id, email: account.email, createdAt: account.created_at });
  },
);

export const paradarumProperties = route(
  {
    method: 'GET',
    path: '/api/property',
    auth: 'key',
    body: 'none',
    operationId: 'paradarumProperties',
    summary: 'Properties: the device groups of the account',
  },
  async ({ deps, caller }) => {
    const data: object[] = [];
    for (const group of await listGroups(deps, caller)) {
      const id = await numberOf(deps, { accountId: caller.accountId, kind: 'group', subject: group.name });
      data.push({ id, name: group.name, devices: group.devices });
    }
    const paging = { pageNumber: 1, pageSize: data.length, totalPages: 1, totalRecords: data.length };
    return { status: 200, json: { ...envelope(true, '', data), ...paging } };
  },
);

export const paradarumPurge = route(
  {
    method: 'POST',
    path: '/api/property/:id/purge',
    auth: 'key',
    body: 'json',
    operationId: 'paradarumPurge',
    summary: 'Burn what the devices of a group have sent and nobody has read',
    fields: ['type'],
  },
  async ({ deps, caller, params, req }) => {
    const type = textField(await caselessBody(req), 'type');
    if (type.toLowerCase() !== 'all') {
      const detail = 'expected "all", got another';
      throw new FuselinkError('invalid_field', `type: ${detail}.`, { errors: [{ field: 'type', detail }] });
    }
    const { accountId } = caller;
    const name = await subjectOf(deps, { accountId, kind: 'group', number: params.id ?? '' });
    const purged = name === null ? null : await purgeGroup(deps, caller, name);
    if (purged === null) throw new FuselinkError('not_found', 'Property not found.');
    return done('Purge done.', { jobCount: purged.burned });
  },
);

export const PARADARUM_ROUTES: readonly RouteDef[] = [
  paradarumLogin,
  paradarumVerify,
  paradarumCreateKey,
  paradarumListKeys,
  paradarumRevokeKey,
  paradarumAccount,
  paradarumProperties,
  paradarumPurge,
];
