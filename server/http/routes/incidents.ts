import type { RotationSource } from '../../domain/rotation/index.ts';
import { FuselinkError } from '../../usecases/error.ts';
import {
  type DeclareIncident,
  declareIncident,
  INCIDENT_ACTIONS,
  INCIDENT_SCOPES,
} from '../../usecases/incident/declare.ts';
import { checkFields, type FieldSpec, readJson } from '../body/request-body.ts';
import type { RouteDef } from '../route.ts';
import { jsonRequest, jsonResponse } from '../schemas.ts';

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

const FIELDS: Record<string, FieldSpec & { schema: object }> = {
  key: { type: 'string', required: true, schema: text },
  reason: { type: 'string', required: true, schema: text },
  action: { type: 'string', schema: { enum: INCIDENT_ACTIONS } },
  burn_unread: { type: 'boolean', schema: flag },
  rotate: { type: 'string', schema: { enum: INCIDENT_SCOPES } },
  source: { type: 'string', schema: { enum: ['self', 'offer'] } },
  dry_run: { type: 'boolean', schema: flag },
};

/** The word, where it is one of these; throws `invalid_field` for another. */
function oneOf<T extends string>(body: Record<string, unknown>, field: string, words: readonly T[]): T | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  const word = words.find((known) => known === value);
  if (word !== undefined) return word;
  const detail = `expected one of ${words.join(', ')}, got "${String(value).slice(0, 40)}"`;
  throw new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}

export const postIncidents: RouteDef = {
  method: 'POST',
  path: '/v1/incidents',
  auth: 'key',
  body: 'json',
  operation: {
    operationId: 'declareIncident',
    summary: 'A key is out: stop it, burn what nobody has read, rotate what the same people or place had, and report',
    description:
      '`key`: id or fingerprint of the key, or id or name of a device. Nothing is changed unless `dry_run` is false; the report is the same either way. A device key is quarantined unless `action` is revoke; other keys are revoked. Repeating it is safe.',
    requestBody: jsonRequest(Object.fromEntries(Object.entries(FIELDS).map(([name, { schema }]) => [name, schema])), [
      'key',
      'reason',
    ]),
    responses: { '200': jsonResponse('What was done, or would be, and what may be compromised', 'Incident') },
    errors: [
      'management_required',
      'role_insufficient',
      'not_found',
      'rotation_state_conflict',
      'invalid_field',
      'invalid_body',
      'unsupported_media_type',
      'payload_too_large',
    ],
  },
  async handle({ deps, caller, req }) {
    const body = checkFields(await readJson(req), FIELDS);
    const what: DeclareIncident = {
      key: String(body['key']),
      reason: String(body['reason']),
      action: oneOf(body, 'action', INCIDENT_ACTIONS),
      burnUnread: body['burn_unread'] as boolean | undefined,
      rotate: oneOf(body, 'rotate', INCIDENT_SCOPES),
      source: oneOf<RotationSource>(body, 'source', ['self', 'offer']),
      dryRun: body['dry_run'] as boolean | undefined,
    };
    return { status: 200, json: await declareIncident(deps, caller, what) };
  },
};
