import { openApiDocument } from '../openapi.ts';
import type { RouteDef } from '../route.ts';
import { jsonResponse } from '../schemas.ts';
import { PARADARUM } from './paradarum.ts';

export const paradarumSwagger: RouteDef = {
  method: 'GET',
  path: '/swagger/v1/swagger.json',
  auth: 'none',
  body: 'none',
  operation: {
    operationId: 'paradarumSwagger',
    summary: "OpenAPI of Paradarum's calls alone",
    responses: { '200': jsonResponse('OpenAPI 3.1', { type: 'object' }) },
  },
  handle: async ({ publicUrl, http }) => ({
    status: 200,
    json: openApiDocument({ publicUrl, version: http.version, dialect: PARADARUM.name }),
  }),
};
