import { openApiDocument } from '../openapi.ts';
import type { RouteDef } from '../route.ts';
import { jsonResponse } from '../schemas.ts';

const STATUS = { type: 'object', properties: { status: { type: 'string' } }, required: ['status'] };

export const getHealth: RouteDef = {
  method: 'GET',
  path: '/healthz',
  auth: 'none',
  body: 'none',
  operation: {
    operationId: 'health',
    summary: 'The process is alive',
    responses: { '200': jsonResponse('Alive', STATUS) },
  },
  handle: async () => ({ status: 200, json: { status: 'alive' } }),
};

export const getReady: RouteDef = {
  method: 'GET',
  path: '/readyz',
  auth: 'none',
  body: 'none',
  operation: {
    operationId: 'ready',
    summary: 'Both stores can be read and written now',
    responses: { '200': jsonResponse('Ready', STATUS) },
    errors: ['storage_unavailable', 'storage_full'],
  },
  async handle({ deps }) {
    await Promise.all([deps.store.check(), deps.blobs.check()]);
    return { status: 200, json: { status: 'ready' } };
  },
};

export const getOpenApi: RouteDef = {
  method: 'GET',
  path: '/openapi.json',
  auth: 'none',
  body: 'none',
  operation: {
    operationId: 'openapi',
    summary: 'This document',
    responses: { '200': jsonResponse('OpenAPI 3.1', { type: 'object' }) },
  },
  handle: async ({ publicUrl, http }) => ({ status: 200, json: openApiDocument({ publicUrl, version: http.version }) }),
};
