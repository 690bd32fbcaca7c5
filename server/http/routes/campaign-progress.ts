import type { CampaignMemberOutcome } from '#sdk/protocol';
import { listMembers } from '../../usecases/campaign/list-members.ts';
import { campaignHistory } from '../../usecases/campaign/samples.ts';
import { knownQuery, oneOf, pageQuery } from '../query.ts';
import type { RouteDef } from '../route.ts';
import { jsonResponse, PAGE_PARAMETERS, pageResponse } from '../schemas.ts';

const OUTCOMES: readonly CampaignMemberOutcome[] = ['waiting', 'open', 'done', 'error', 'skipped'];

/** What a campaign is watched by. */
export const CAMPAIGN_PROGRESS_ROUTES: readonly RouteDef[] = [
  {
    method: 'GET',
    path: '/v1/campaigns/:id/members',
    auth: 'key',
    body: 'none',
    operation: {
      operationId: 'listCampaignMembers',
      summary: 'The devices of a campaign and what has become of each, in the order of their ids',
      parameters: [{ name: 'outcome', in: 'query', schema: { enum: OUTCOMES } }, ...PAGE_PARAMETERS],
      responses: { '200': pageResponse('members', 'CampaignMember') },
      errors: ['not_found', 'role_insufficient', 'invalid_field'],
    },
    async handle({ deps, caller, params, query }) {
      knownQuery(query, ['outcome', 'cursor', 'limit']);
      const page = { outcome: oneOf(query, 'outcome', OUTCOMES), ...pageQuery(query) };
      return { status: 200, json: await listMembers(deps, caller, params['id'] ?? '', page) };
    },
  },
  {
    method: 'GET',
    path: '/v1/campaigns/:id/history',
    auth: 'key',
    body: 'none',
    operation: {
      operationId: 'campaignHistory',
      summary: 'How many devices of a campaign stood where over time, oldest first; the last sample is of now',
      responses: {
        '200': jsonResponse('The samples', {
          type: 'object',
          properties: { samples: { type: 'array', items: { $ref: '#/components/schemas/CampaignSample' } } },
          required: ['samples'],
        }),
      },
      errors: ['not_found', 'role_insufficient', 'invalid_field'],
    },
    async handle({ deps, caller, params, query }) {
      knownQuery(query, []);
      return { status: 200, json: await campaignHistory(deps, caller, params['id'] ?? '') };
    },
  },
];
