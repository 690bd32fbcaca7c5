import type { RouteDef } from '../http/route.ts';

/** A path of the route with every parameter filled in. */
export function samplePath(route: RouteDef, parameter: string): string {
  return route.path.replace(/:\w+/g, encodeURIComponent(parameter));
}

interface Schema {
  type?: string | readonly string[];
  enum?: readonly unknown[];
  properties?: Record<string, Schema>;
}

/** A JSON body that fits what the route says of itself in OpenAPI; undefined where it takes none. */
export function sampleBody(route: RouteDef): Record<string, unknown> | undefined {
  const { requestBody } = route.operation as { requestBody?: { content?: Record<string, { schema?: Schema }> } };
  const schema = requestBody?.content?.['application/json']?.schema;
  if (route.body !== 'json') return undefined;
  return Object.fromEntries(
    Object.entries(schema?.properties ?? {}).map(([name, field]) => [name, sample(name, field)]),
  );
}

function sample(name: string, field: Schema): unknown {
  if (field.enum !== undefined) return field.enum[0];
  if (Array.isArray(field.type) && field.type.includes('null')) return null;
  const type = typeof field.type === 'string' ? field.type : field.type?.[0];
  if (type === 'boolean') return true;
  if (type === 'integer' || type === 'number') return 1;
  if (type === 'array') return [];
  if (type === 'object') return {};
  if (name === 'email') return 'battery@example.com';
  if (name === 'query') return 'mutation { createApiKey(data: { name: "battery" }) { id } }';
  return 'battery';
}
