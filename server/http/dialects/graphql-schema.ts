import { buildSchema, GraphQLError, type GraphQLFieldResolver, type GraphQLObjectType } from 'graphql/index.js';
import type { KeyAnswer, Role } from '#sdk/protocol';
import { keyBytesOf } from '../../domain/credential/api-key.ts';
import type { KeyId } from '../../domain/ids.ts';
import type { Caller } from '../../usecases/caller.ts';
import type { Deps } from '../../usecases/deps.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { createKey, keyAnswer, listKeys, revokeKey } from '../../usecases/key/manage-keys.ts';
import { hashOfKey } from '../../usecases/key/mint-key.ts';
import { allPages, arrange, type ListQuery } from './list-query.ts';

const SDL = /* GraphQL */ `
  type Query {
    "Keys of the account, newest first; never the keys themselves."
    apiKeys(where: ApiKeyWhereInput, orderBy: ApiKeyOrderByInput, skip: Int, first: Int): [ApiKey!]!
    apiKey(where: ApiKeyWhereUniqueInput!): ApiKey
  }

  type Mutation {
    "A key with the permissions of whoever makes it. Its text is shown here and nowhere else."
    createApiKey(data: ApiKeyCreateInput!): ApiKey!
    deleteApiKey(where: ApiKeyWhereUniqueInput!): ApiKey!
  }

  type ApiKey {
    id: ID!
    name: String!
    "The key itself: only in the answer to createApiKey."
    key: String
    prefix: String!
    roles: [UserRole!]!
    createdAt: String!
    lastUsedAt: String
    deletedAt: String
  }

  type UserRole {
    id: ID!
    name: String!
    preset: UserRolePreset
  }

  enum UserRolePreset {
    ROOT
    OPERATOR
    AUDITOR
  }

  enum ApiKeyOrderByInput {
    createdAt_ASC
    createdAt_DESC
    name_ASC
    name_DESC
  }

  input ApiKeyWhereInput {
    id: ID
    id_in: [ID!]
    name: String
    name_contains: String
  }

  input ApiKeyWhereUniqueInput {
    id: ID
    key: String
  }

  input ApiKeyCreateInput {
    name: String!
  }
`;

export type GraphContext = { deps: Deps; caller: Caller } & Record<PropertyKey, unknown>;

const PRESETS: Record<Role, string> = { owner: 'ROOT', operator: 'OPERATOR', auditor: 'AUDITOR' };

interface UniqueWhere {
  id?: string | null;
  key?: string | null;
}

const RESOLVERS: Record<string, GraphQLFieldResolver<unknown, GraphContext>> = {
  'Query.apiKeys': told(async ({ deps, caller }, args) => {
    const query = args as ListQuery;
    const pages = allPages((cursor) => listKeys(deps, caller, { kind: 'account', cursor, limit: 200 }), 'keys');
    const rows = (await pages).map((key) => keyNode(key, null));
    return arrange(rows, query, { where: ['id', 'name'], orderBy: ['createdAt', 'name'] });
  }),
  'Query.apiKey': told(async ({ deps, caller }, args) => {
    const id = await keyIdOf(deps, caller, (args as { where: UniqueWhere }).where);
    const row = id === null ? null : await deps.store.get('api_keys', { id });
    return row === null ? null : keyNode(keyAnswer(row), null);
  }),
  'Mutation.createApiKey': told(async ({ deps, caller }, args) => {
    const created = await createKey(deps, caller, { name: (args as { data: { name: string } }).data.name });
    return keyNode(created, created.key);
  }),
  'Mutation.deleteApiKey': told(async ({ deps, caller }, args) => {
    const id = await keyIdOf(deps, caller, (args as { where: UniqueWhere }).where);
    if (id === null) throw new FuselinkError('not_found', 'There is no such key.');
    return keyNode(await revokeKey(deps, caller, { id }), null);
  }),
};

/** The schema with its resolvers: what GraphQL can ask for is what the native API offers for keys. */
export const GRAPHQL_SCHEMA = buildSchema(SDL);
for (const [name, resolve] of Object.entries(RESOLVERS)) {
  const [type = '', field = ''] = name.split('.');
  const found = (GRAPHQL_SCHEMA.getType(type) as GraphQLObjectType).getFields()[field];
  if (found === undefined) throw new Error(`the schema has no ${name}`);
  found.resolve = resolve as GraphQLFieldResolver<unknown, unknown>;
}

/** Refusals reach the client with their code; what else goes wrong is masked by the handler. */
function told(
  act: (context: GraphContext, args: unknown) => Promise<unknown>,
): GraphQLFieldResolver<unknown, GraphContext> {
  return async (_source, args, context) => {
    try {
      return await act(context, args);
    } catch (error) {
      if (!(error instanceof FuselinkError)) throw error;
      throw new GraphQLError(error.message, { extensions: { code: error.code } });
    }
  };
}

function keyNode(key: KeyAnswer, text: string | null) {
  return {
    id: key.id,
    name: key.name,
    key: text,
    prefix: key.prefix,
    roles: [{ id: key.role, name: key.role, preset: PRESETS[key.role] }],
    createdAt: key.created_at,
    lastUsedAt: key.last_used_at,
    deletedAt: key.revoked_at,
  };
}

/** The id of the account's key that is meant by id or by its text; null where there is none. */
async function keyIdOf(deps: Deps, caller: Caller, where: UniqueWhere): Promise<KeyId | null> {
  const bytes = typeof where.key === 'string' ? keyBytesOf(where.key) : null;
  const row =
    bytes !== null
      ? await deps.store.get('api_keys', { hash: hashOfKey(deps.crypto, bytes) })
      : typeof where.id === 'string' && /^\w{1,100}$/.test(where.id)
        ? await deps.store.get('api_keys', { id: where.id as KeyId })
        : null;
  return row !== null && row.account_id === caller.accountId && row.kind === 'account' ? row.id : null;
}
