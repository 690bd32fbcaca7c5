import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import type { Deps } from '../usecases/deps.ts';
import { EXPECTS_CONTINUE } from './continue.ts';
import { dialectUrl } from './dialects/paths.ts';
import type { HttpSettings, RouteDef } from './route.ts';
import { ROUTES } from './routes.ts';
import { answerClientError, serve, serveUnknown } from './serve.ts';

/** Node fails over 16 KB of headers by itself; we say so. */
const HEADER_BYTES_MAX = 16_384;
const HEADERS_TIMEOUT_MS = 30_000;

export interface AppOptions {
  deps: Deps;
  http: HttpSettings;
  tls?: { certFile: string; keyFile: string } | null;
}

/** The HTTP server with every route of ROUTES; not listening yet. */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { tls } = options;
  const common = {
    logger: false,
    exposeHeadRoutes: false,
    // A slow upload of 5 GiB takes hours; only silence ends a connection (socket timeout below).
    requestTimeout: 0,
    connectionTimeout: 0,
    keepAliveTimeout: 72_000,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    forceCloseConnections: 'idle' as const,
    return503OnClosing: false,
    rewriteUrl: (req: IncomingMessage) => dialectUrl(req.url ?? '/'),
    routerOptions: { maxParamLength: 4_000, ignoreTrailingSlash: true, ignoreDuplicateSlashes: false },
    clientErrorHandler: answerClientError,
  };
  const limits = { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: HEADERS_TIMEOUT_MS };
  const secure = tls && {
    cert: readFileSync(tls.certFile),
    key: readFileSync(tls.keyFile),
    minVersion: 'TLSv1.2' as const,
    // Without the second, TLS refuses clients that speak (and announce) HTTP/1.0 only.
    ALPNProtocols: ['http/1.1', 'http/1.0'],
  };
  const app = create(secure ? { ...common, https: { ...limits, ...secure } } : { ...common, http: limits });

  prepareServer(app.server, options.http);
  waitForHandlers(app);
  // Bodies are read by the routes themselves: as streams, whatever type they claim to be.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  for (const route of ROUTES) addRoute(app, route, options);
  app.setNotFoundHandler((request, reply) =>
    raw(request, reply, (req, res) => serveUnknown(req, res, options, ROUTES)),
  );
  // A Content-Type that is none makes the framework give up before our handlers, which read bodies of any type.
  app.setErrorHandler((_error, request, reply) => {
    const route = ROUTES.find(({ method, path }) => method === request.method && path === request.routeOptions.url);
    const params = request.params as Record<string, string>;
    return raw(request, reply, (req, res) =>
      route === undefined ? serveUnknown(req, res, options, ROUTES) : serve(req, res, { ...options, route, params }),
    );
  });
  await app.ready();
  return app;
}

// Fastify types plain and TLS servers apart; everything here works alike on both.
function create(options: object): FastifyInstance {
  return fastify(options as FastifyServerOptions);
}

function addRoute(app: FastifyInstance, route: RouteDef, options: AppOptions): void {
  app.route({
    method: route.method,
    url: route.path,
    handler: (request, reply) =>
      raw(request, reply, (req, res) =>
        serve(req, res, { ...options, route, params: request.params as Record<string, string> }),
      ),
  });
}

async function raw(
  request: FastifyRequest,
  reply: FastifyReply,
  handle: (req: IncomingMessage, res: ServerResponse) => Promise<void>,
): Promise<void> {
  reply.hijack();
  const handling = handle(request.raw, reply.raw);
  const underWay = UNDER_WAY.get(request.server);
  underWay?.add(handling);
  await handling.finally(() => underWay?.delete(handling));
}

/**
 * Requests each app is at work on. A read is recorded as delivered after its connection has ended: a stop that closed the
 * stores with the last connection would lose just that.
 */
const UNDER_WAY = new WeakMap<object, Set<Promise<void>>>();

function waitForHandlers(app: FastifyInstance): void {
  const underWay = new Set<Promise<void>>();
  UNDER_WAY.set(app, underWay);
  // To Node a download that waits for its reader to close first is idle: closing it would destroy the proof of delivery.
  const closeIdle = app.server.closeIdleConnections.bind(app.server);
  app.server.closeIdleConnections = () => void Promise.allSettled([...underWay]).then(closeIdle);
  app.addHook('onClose', async () => {
    while (underWay.size > 0) await Promise.allSettled([...underWay]);
  });
}

function prepareServer(server: Server, http: HttpSettings): void {
  // Without a listener Node answers 100 by itself, before anybody looked at the request. Refusals come first here.
  server.on('checkContinue', (req, res) => {
    EXPECTS_CONTINUE.add(req);
    server.emit('request', req, res);
  });
  // A client that half-closes after its request still gets its answer.
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  server.setTimeout(http.idleTimeoutMs);
}
