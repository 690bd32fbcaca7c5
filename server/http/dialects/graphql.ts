// By its file, so that bundlers and test runners take the same copy that graphql-http does: two do not mix.
import { GraphQLError, parse } from 'graphql/index.js';
import { createHandler } from 'graphql-http';
import { FuselinkError } from '../../usecases/error.ts';
import { requestBytes } from '../body/request-body.ts';
import type { Answer, RequestContext } from '../route.ts';
import { limitRule, TOKENS_MAX } from './graphql-limits.ts';
import { GRAPHQL_SCHEMA, type GraphContext } from './graphql-schema.ts';

/** A GraphQL request is a query and its variables; more is a mistake or an attack. */
const GRAPHQL_BYTES_MAX = 65_536;

const handler = createHandler<undefined, GraphContext, GraphContext>({
  schema: GRAPHQL_SCHEMA,
  context: (request) => request.context,
  validationRules: [limitRule],
  parse: (source, options) => parse(source, { ...options, maxTokens: TOKENS_MAX }),
  formatError(error) {
    // What a resolver threw and is no refusal of ours must not be told: it may quote a row.
    const thrown = error instanceof GraphQLError ? error.originalError : undefined;
    if (thrown === undefined || thrown === null || thrown instanceof GraphQLError) return error;
    return new GraphQLError('Something went wrong on the server; nothing was half done.', {
      extensions: { code: 'internal' },
    });
  },
});

/** CloudTower's `/api`: a query, or a mutation by POST, as graphql-http answers it. */
export async function answerGraphql({ deps, caller, req }: RequestContext): Promise<Answer> {
  const body = req.method === 'POST' ? await readText(req) : null;
  const [text, init] = await handler({
    method: req.method ?? 'GET',
    url: req.url ?? '/api',
    headers: req.headers as Record<string, string | string[] | undefined>,
    body,
    raw: undefined,
    context: { deps, caller },
  });
  const { 'content-type': type, ...headers } = init.headers ?? {};
  return {
    status: init.status,
    headers: headers as Record<string, string>,
    text: text ?? '',
    ...(type === undefined ? {} : { type }),
  };
}

async function readText(req: RequestContext['req']): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of requestBytes(req)) {
    bytes += chunk.length;
    if (bytes > GRAPHQL_BYTES_MAX) {
      throw new FuselinkError('payload_too_large', `Expected at most ${GRAPHQL_BYTES_MAX} bytes of GraphQL, got more.`);
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString('utf8');
}
