import type { CampaignSelection } from '../../ports/tables.ts';
import {
  type CampaignVerb,
  createCampaign,
  listCampaigns,
  lookAtCampaign,
  orderCampaign,
  preflight,
} from '../../usecases/campaign/manage.ts';
import { checkFields, type FieldSpec, readJson } from '../body/request-body.ts';
import { knownQuery, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse, PAGE_PARAMETERS, pageResponse } from '../schemas.ts';
import { PLAN_FIELDS, planOfBody } from './device-rotation.ts';

const text = { type: 'string' } as const;
const texts = { type: 'array', items: text } as const;
const number = { type: 'number', minimum: 0 } as const;

/** Flat, so that a misspelt field is refused by name at every depth. */
const NEW_FIELDS: Record<string, FieldSpec & { schema: object }> = {
  name: { type: 'string', required: true, schema: text },
  tags: { type: 'strings', schema: texts },
  groups: { type: 'strings', schema: texts },
  profile: { type: 'string', schema: text },
  devices: { type: 'strings', schema: texts },
  key_age_days: { type: 'number', schema: number },
  seen_by: { type: 'string', schema: text },
  gateways: { type: 'strings', schema: texts },
  canary: { type: 'number', schema: number },
  growth: { type: 'number', schema: number },
  wave_soak_seconds: { type: 'number', schema: number },
  errors_percent_max: { type: 'number', schema: number },
  sample_min: { type: 'number', schema: number },
  silence_seconds: { type: 'number', schema: number },
  wave_seconds_max: { type: 'number', schema: number },
  stragglers_seconds_max: { type: 'number', schema: number },
  repeat_every_days: { type: 'number', schema: number },
  firmware: { type: 'string', schema: text },
  ...PLAN_FIELDS,
};

const ORDER_ERRORS = [
  'management_required',
  'role_insufficient',
  'not_found',
  'rotation_state_conflict',
  'invalid_field',
  'invalid_body',
  'unsupported_media_type',
  'payload_too_large',
] as const;

function numberOf(body: Record<string, unknown>, name: string, factor = 1): number | undefined {
  return body[name] === undefined || body[name] === null ? undefined : Number(body[name]) * factor;
}

/** Only what is said: a field that is there and undefined would be stored as such. */
function said<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

export const getCampaigns: RouteDef = {
  method: 'GET',
  path: '/v1/campaigns',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listCampaigns',
    summary: 'Rotation campaigns, newest first',
    parameters: PAGE_PARAMETERS,
    responses: { '200': pageResponse('campaigns', 'Campaign') },
    errors: ['invalid_field', 'role_insufficient'],
  },
  async handle({ deps, caller, query }) {
    knownQuery(query, ['cursor', 'limit']);
    return { status: 200, json: await listCampaigns(deps, caller, pageQuery(query)) };
  },
};

export const postCampaigns: RouteDef = {
  method: 'POST',
  path: '/v1/campaigns',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'createCampaign',
    summary: 'A new campaign, as a draft',
    requestBody: jsonRequest(
      Object.fromEntries(Object.entries(NEW_FIELDS).map(([name, { schema }]) => [name, schema])),
      ['name'],
    ),
    responses: { '201': jsonResponse('The draft', 'Campaign') },
    errors: ORDER_ERRORS,
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), NEW_FIELDS);
    const { tags, groups, profile, devices, key_age_days, seen_by, gateways } = body;
    const selection = said({ tags, groups, profile, devices, key_age_days, seen_by, gateways }) as CampaignSelection;
    const rules = said({
      canary: numberOf(body, 'canary'),
      growth: numberOf(body, 'growth'),
      soakMs: numberOf(body, 'wave_soak_seconds', 1000),
      errorsPercentMax: numberOf(body, 'errors_percent_max'),
      sampleMin: numberOf(body, 'sample_min'),
      silenceMs: numberOf(body, 'silence_seconds', 1000),
      waveMsMax: numberOf(body, 'wave_seconds_max', 1000),
      stragglersMsMax: numberOf(body, 'stragglers_seconds_max', 1000),
    });
    const campaign = await createCampaign(deps, caller, {
      name: String(body['name']),
      selection,
      rules,
      plan: planOfBody(body),
      repeatEveryDays: numberOf(body, 'repeat_every_days'),
      firmware: body['firmware'] === undefined ? undefined : String(body['firmware']),
    });
    return { status: 201, json: campaign };
  },
};

export const getCampaign: RouteDef = {
  method: 'GET',
  path: '/v1/campaigns/:id',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'getCampaign',
    summary: 'One campaign and how far it is',
    responses: { '200': jsonResponse('The campaign', 'Campaign') },
    errors: ['not_found', 'role_insufficient', 'invalid_field'],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, []);
    return { status: 200, json: await lookAtCampaign(deps, caller, params['id'] ?? '') };
  },
};

export const getPreflight: RouteDef = {
  method: 'GET',
  path: '/v1/campaigns/:id/preflight',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'preflightCampaign',
    summary: 'What a campaign would do: who, how many, how long, who is offline, who would be locked out',
    responses: { '200': jsonResponse('What would happen', 'Preflight') },
    errors: ['not_found', 'role_insufficient', 'rotation_state_conflict', 'invalid_field'],
  },
  async handle({ deps, caller, params, query }) {
    knownQuery(query, []);
    return { status: 200, json: await preflight(deps, caller, params['id'] ?? '') };
  },
};

function orderRoute(
  verb: CampaignVerb,
  summary: string,
  fields: Record<string, FieldSpec & { schema: object }>,
): RouteDef {
  return {
    method: 'POST',
    path: `/v1/campaigns/:id/${verb}`,
    auth: 'key',
    body: 'json',
    operation: {
      operationId: `${verb.replace('-b', 'B')}Campaign`,
      summary,
      requestBody: jsonRequest(
        Object.fromEntries(Object.entries(fields).map(([name, { schema }]) => [name, schema])),
        [],
      ),
      responses: { '200': jsonResponse('The campaign as it is now', 'Campaign') },
      errors: ORDER_ERRORS,
    },
    async handle({ deps, caller, params, req }) {
      const body = checkFields(await readJson(req), fields);
      const order = {
        verb,
        reason: body['reason'] === undefined ? undefined : String(body['reason']),
        startAtMs: body['starts_at'] === undefined ? undefined : Date.parse(String(body['starts_at'])),
      };
      return { status: 200, json: await orderCampaign(deps, caller, params['id'] ?? '', order) };
    },
  };
}

export const CAMPAIGN_ROUTES: readonly RouteDef[] = [
  getCampaigns,
  postCampaigns,
  getCampaign,
  getPreflight,
  orderRoute('start', 'Start now, with the canary', {}),
  orderRoute('schedule', 'Start at a time', {
    starts_at: { type: 'string', schema: { type: 'string', format: 'date-time' } },
  }),
  orderRoute('pause', 'Mint no key until it goes on', { reason: { type: 'string', schema: text } }),
  orderRoute('resume', 'Go on where it was paused', {}),
  orderRoute('abort', 'Call off what is not proven, and end', {}),
  orderRoute('roll-back', 'Go back to the old keys wherever they still exist, and end', {}),
];
