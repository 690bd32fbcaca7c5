import { ERRORS, type ErrorCode } from '#sdk/protocol';
import type { RouteDef } from './route.ts';
import { ROUTES } from './routes.ts';
import { SCHEMAS } from './schemas.ts';

/** What any route that needs a credential may answer besides its own errors. */
const CREDENTIAL_ERRORS = [
  'credentials_missing',
  'credentials_malformed',
  'credentials_ambiguous',
  'key_unknown',
  'key_not_yet_valid',
  'key_revoked',
  'key_quarantined',
  'token_invalid',
  'token_expired',
  'cross_site_request',
  'signature_unsupported',
];

/** What a route that takes signed requests may answer to one; the others answer the last of them. */
const SIGNATURE_ERRORS = [
  'signature_malformed',
  'signature_incomplete',
  'signature_invalid',
  'signature_key_unseen',
  'signature_clock',
  'nonce_missing',
  'nonce_unknown',
  'nonce_expired',
  'nonce_used',
  'digest_mismatch',
  'payload_too_large',
];

/** The OpenAPI 3.1 document, made from the route list: what is not a route is not in it, and the other way round. */
export function openApiDocument(about: {
  publicUrl: string;
  version: string;
  /** Only the routes of one dialect. */
  dialect?: string;
}): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of ROUTES) {
    if (about.dialect !== undefined && route.dialect?.name !== about.dialect) continue;
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Fuselink',
      version: about.version,
      description: 'Devices send files that burn when they are read.',
    },
    servers: [{ url: about.publicUrl }],
    paths,
    components: {
      schemas: SCHEMAS,
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: 'fuselink_session', description: 'The session of a sign-in' },
        bearer: { type: 'http', scheme: 'bearer', description: 'Authorization: Bearer <API key or JWT>' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'X-API-Key: <API key>' },
        signature: {
          type: 'apiKey',
          in: 'header',
          name: 'Signature',
          description:
            'RFC 9421 with hmac-sha256 and a nonce of the server: for devices that cannot verify TLS (sdk/SIGNED.md)',
        },
      },
    },
  };
}

const SCHEMES = [{ bearer: [] }, { apiKey: [] }, { session: [] }];

function operationOf(route: RouteDef): object {
  const { errors = [], parameters = [], ...operation } = route.operation;
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const credential = route.auth === 'key' ? CREDENTIAL_ERRORS : [];
  const signature = route.signed === true ? SIGNATURE_ERRORS : [];
  const all = [...new Set([...errors, ...credential, ...signature, 'bad_request', 'internal'])];
  return {
    ...operation,
    parameters: [...inPath, ...parameters],
    responses: { ...errorResponses(all, route.dialect?.errorContent ?? PROBLEM), ...operation.responses },
    security: route.auth === 'key' ? [...SCHEMES, ...(route.signed === true ? [{ signature: [] }] : [])] : [],
  };
}

const PROBLEM = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };

function errorResponses(codes: readonly string[], content: Record<string, object>): Record<string, object> {
  const byStatus = new Map<number, string[]>();
  for (const code of codes) {
    const { status } = ERRORS[code as ErrorCode];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      String(status),
      {
        description: list.join(', '),
        content,
      },
    ]),
  );
}
