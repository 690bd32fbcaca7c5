import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode } from '#sdk/protocol';
import { openApiDocument } from './openapi.ts';
import { ROUTES } from './routes.ts';

interface Operation {
  operationId: string;
  responses: Record<string, { description: string }>;
  security: object[];
}
const document = openApiDocument({ publicUrl: 'http://127.0.0.1:1', version: '0.0.0' }) as {
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, { type: string }> };
};

describe('openapi.json', () => {
  test('document: whole → valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document) as Record<string, unknown>);
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
  });

  test('operations: route list and document → one set', () => {
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    );
    expect(documented.sort()).toEqual(ROUTES.map((route) => `${route.method} ${route.path}`).sort());
  });

  test('operation ids: all → unique', () => {
    const ids = ROUTES.map((route) => route.operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('errors: every code a route names → of the registry, under its status', () => {
    for (const route of ROUTES) {
      for (const code of route.operation.errors ?? []) {
        const entry = ERRORS[code as ErrorCode];
        expect(entry, `${route.path}: ${code}`).toBeDefined();
        const path = route.path.replace(/:(\w+)/g, '{$1}');
        const operation = document.paths[path]?.[route.method.toLowerCase()];
        expect(operation?.responses[String(entry.status)]?.description).toContain(code);
      }
    }
  });

  test('security: both schemes are declared, and every route that needs a key says so', () => {
    expect(
      Object.values(document.components.securitySchemes)
        .map(({ type }) => type)
        .sort(),
    ).toContain('http');
    expect(Object.values(document.components.securitySchemes).map(({ type }) => type)).toContain('apiKey');
    for (const route of ROUTES.filter(({ auth }) => auth === 'key')) {
      const operation = document.paths[route.path.replace(/:(\w+)/g, '{$1}')]?.[route.method.toLowerCase()];
      expect(operation?.security.length, route.path).toBeGreaterThan(0);
    }
  });
});
