import type { SessionId } from '../../domain/ids.ts';
import { endSession, listSessions } from '../../usecases/auth/open-sessions.ts';
import { knownQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonResponse } from '../schemas.ts';

export const SESSION_ROUTES: readonly RouteDef[] = [
  {
    method: 'GET',
    path: '/v1/sessions',
    auth: 'key',
    body: 'none',
    operation: {
      operationId: 'listSessions',
      summary: 'Sign-ins that have not ended, newest first: of the whole account for an owner, else the own ones',
      responses: {
        '200': jsonResponse('The sessions', {
          type: 'object',
          properties: { sessions: { type: 'array', items: { $ref: '#/components/schemas/Session' } } },
          required: ['sessions'],
        }),
      },
      errors: ['invalid_field', 'role_insufficient'],
    },
    async handle({ deps, caller, query }) {
      knownQuery(query, []);
      return { status: 200, json: await listSessions(deps, caller) };
    },
  },
  {
    method: 'DELETE',
    path: '/v1/sessions/:id',
    auth: 'key',
    body: 'none',
    operation: {
      operationId: 'endSession',
      summary: 'End a sign-in: its cookie and its JWT are refused from the next request on',
      responses: { '204': { description: 'Ended' } },
      errors: ['management_required', 'not_found'],
    },
    async handle({ deps, caller, params }) {
      await endSession(deps, caller, params['id'] as SessionId);
      return { status: 204 };
    },
  },
];
