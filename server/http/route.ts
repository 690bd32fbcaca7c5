import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import type { FuselinkError } from '../usecases/error.ts';
import type { DashboardFiles } from './dashboard/files.ts';

/** One request on its way through its route. */
export interface RequestContext {
  deps: Deps;
  http: HttpSettings;
  req: IncomingMessage;
  res: ServerResponse;
  params: Record<string, string>;
  query: URLSearchParams;
  /** Who is calling; only routes with `auth: 'key'` may ask. */
  caller: Caller;
  /** Address of the client (behind a trusted proxy, the one it reports). */
  from: string;
  /** `https://host[:port]` that links of this answer begin with, without a slash at the end. */
  publicUrl: string;
}

export interface HttpSettings {
  /** Where links point to; null: wherever the request says it came to. */
  publicUrl: string | null;
  trustProxy: boolean;
  tls: boolean;
  /** A connection over which nothing comes or goes for this long is closed. */
  idleTimeoutMs: number;
  /** How long a finished download waits for the client to close first, before we do. */
  lingerMs: number;
  version: string;
  /** Who may read /metrics from elsewhere; null or absent: nobody. */
  metricsToken?: string | null;
  /** The dashboard as it was built; null or absent where it was not. */
  dashboard?: DashboardFiles | null;
  /** Told of every request when it has ended, where the log is that talkative. */
  logRequest?: ((fields: Record<string, unknown>) => void) | null;
}

export interface Answer {
  status: number;
  headers?: Record<string, string | number>;
  json?: unknown;
  text?: string;
  /** Content-Type of `text`. */
  type?: string;
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';

/** An endpoint: what the router, the OpenAPI document and the security battery know of it. */
export interface RouteDef {
  method: Method;
  /** With `:name` for parameters. */
  path: string;
  /** `key`: needs a credential. `link`: whoever has the link. `none`: anybody. */
  auth: 'key' | 'link' | 'none';
  /** Open to a device whose key is quarantined: its own calls, by which it is told so and stages another key. */
  quarantined?: true;
  /** Takes signed requests (sdk/SIGNED.md): its answer is small, whole before it goes out, and tells no secret in plain form. */
  signed?: true;
  /** What a request body is; the handler reads it itself. */
  body: 'none' | 'json' | 'file';
  operation: Operation;
  /** The manners of another system's API: how its errors look, and that its paths know no case. */
  dialect?: Dialect;
  /** The answer, or null where the handler has written it to `res` itself. */
  handle(context: RequestContext): Promise<Answer | null>;
}

export interface Dialect {
  name: string;
  ignoresCase: boolean;
  /** The answer that tells of an error. */
  problem(error: FuselinkError): Answer;
  /** Content type and JSON Schema of that answer. */
  errorContent: Record<string, object>;
}

/** The part of an OpenAPI 3.1 operation that a route writes itself; path parameters and errors are added. */
export interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  parameters?: object[];
  requestBody?: object;
  responses: Record<string, object>;
  /** Error codes of the registry it may answer with, beside those every route may. */
  errors?: readonly string[];
}
