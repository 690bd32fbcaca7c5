import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { formatRotationTold, HEADER_DEVICE, HEADER_ROTATION, parseDevicePosition } from '#sdk/protocol';
import { toHex } from '../domain/base64url.ts';
import { readCredential } from '../domain/credential/credential-header.ts';
import { auditRefused } from '../usecases/audit/refusals.ts';
import { whyOver } from '../usecases/auth/still-holds.ts';
import { type Caller, refuseQuarantined } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import { FuselinkError } from '../usecases/error.ts';
import { authenticate } from '../usecases/key/authenticate.ts';
import { afterDeviceRequest, isDevice } from '../usecases/rotation/hear.ts';
import { uploadWindow, uploadWindowSeen } from '../usecases/upload/admission.ts';
import { oneHeader } from './body/header-text.ts';
import { JSON_BYTES_MAX, readWhole } from './body/request-body.ts';
import { clientAddress, publicUrlOf } from './client.ts';
import { admitting } from './continue.ts';
import { actingCaller, HEADER_ON_BEHALF } from './gateway-caller.ts';
import { hasUnreadBody, lingerAfterAnswer } from './lingering-close.ts';
import { asFuselinkError, problemAnswer } from './problem.ts';
import type { Answer, HttpSettings, RequestContext, RouteDef } from './route.ts';
import { refuseCrossSite, sessionCookieOf } from './session-cookie.ts';
import { type Signing, setSignature, signedCaller, startSigning } from './signed-request.ts';

const REQUEST_ID_BYTES = 8;

interface Serving {
  deps: Deps;
  http: HttpSettings;
  route: RouteDef | null;
  params: Record<string, string>;
}

interface Lifecycle extends Serving {
  /** Names this request in the answer (X-Request-Id) and in the log. */
  id: string;
  req: IncomingMessage;
  res: ServerResponse;
  caller: Caller | null;
  /** Who authenticated: a gateway, where `caller` is the device it speaks for. */
  credential: Caller | null;
  /** What its answer is signed with, where the request is. */
  signing: Signing | null;
  /** What will be written; null once a handler has written it itself. */
  answer: Answer | null;
}

/** What happens to every request, in this order. An error in any step but the last becomes its problem answer. */
const STEPS: readonly ((life: Lifecycle) => void | Promise<void>)[] = [
  setCommonHeaders,
  refuseTwoHosts,
  identifyCaller,
  hearOut,
  refuseUnstorable,
  callHandler,
];

/** Takes a request through its life. Never rejects. */
export async function serve(req: IncomingMessage, res: ServerResponse, serving: Serving): Promise<void> {
  const life: Lifecycle = {
    ...serving,
    id: requestId(req, serving),
    req,
    res,
    caller: null,
    credential: null,
    signing: null,
    answer: null,
  };
  observeEnd(life);
  req.on('error', () => {});
  res.on('error', () => {});
  try {
    for (const step of STEPS) {
      // Most steps are done at once, and a turn of the queue for each of them is a good part of a small request.
      const pending = step(life);
      if (pending !== undefined) await pending;
    }
  } catch (error) {
    const known = asFuselinkError(error);
    if (known.code === 'internal' || known.code.startsWith('storage_'))
      serving.deps.warn(`${req.method} ${routeName(serving)} failed`, known.cause, { request_id: life.id });
    serving.deps.metrics.count('fuselink_refusals_total', { code: known.code });
    if (res.headersSent) {
      res.destroy();
      return;
    }
    if (life.caller !== null && life.route !== null)
      await auditRefused(life.deps, life.caller, { error: known, operation: life.route.operation.operationId });
    life.answer = (life.route?.dialect?.problem ?? problemAnswer)(known);
  }
  try {
    if (life.answer !== null) await writeAnswer(life, life.answer);
  } catch (error) {
    serving.deps.warn('an answer could not be written', error, { request_id: life.id });
    res.destroy();
  }
}

/** A path or method that no route offers: 404, or 405 with what is allowed. */
export async function serveUnknown(
  req: IncomingMessage,
  res: ServerResponse,
  serving: Omit<Serving, 'route' | 'params'>,
  routes: readonly RouteDef[],
): Promise<void> {
  const path = pathOf(req).replace(/\/+$/, '') || '/';
  const allowed = routes.filter((route) => matches(route.path, path)).map((route) => route.method);
  const refuse = async () => {
    if (allowed.length === 0)
      throw new FuselinkError('not_found', 'There is nothing at this address. See /openapi.json for what is.');
    throw new FuselinkError(
      'method_not_allowed',
      `Expected ${allowed.join(', ')}, got ${String(req.method).slice(0, 20)}.`,
      {
        headers: { allow: allowed.join(', ') },
      },
    );
  };
  const route: RouteDef = {
    method: 'GET',
    path: '(none)',
    auth: 'none',
    body: 'none',
    operation: { operationId: 'none', summary: '', responses: {} },
    handle: async () => {
      await refuse();
      return null;
    },
  };
  await serve(req, res, { ...serving, route, params: {} });
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const got = path.split('/');
  return wanted.length === got.length && wanted.every((part, i) => part.startsWith(':') || part === got[i]);
}

function setCommonHeaders({ res, http, id }: Lifecycle): void {
  res.setHeader('x-request-id', id);
  res.setHeader('x-content-type-options', 'nosniff');
  // Links are capabilities: they must not leak in Referer, caches or search engines.
  res.setHeader('referrer-policy', 'no-referrer');
  res.setHeader('cache-control', 'no-store');
  res.setHeader('x-robots-tag', 'noindex, nofollow');
  if (http.tls) res.setHeader('strict-transport-security', 'max-age=31536000');
}

function refuseTwoHosts({ req }: Lifecycle): void {
  let hosts = 0;
  for (let i = 0; i < req.rawHeaders.length; i += 2) if (req.rawHeaders[i]?.toLowerCase() === 'host') hosts++;
  if (hosts > 1) throw new FuselinkError('bad_request', 'Expected one Host header, got two.');
}

async function identifyCaller(life: Lifecycle): Promise<void> {
  if (life.route?.auth !== 'key') return;
  const { headers, method } = life.req;
  const credentials = {
    authorization: oneHeader(headers.authorization),
    xApiKey: oneHeader(headers['x-api-key']),
    sessionCookie:
      headers.cookie === undefined ? undefined : sessionCookieOf(life.req, publicUrlOf(life.req, life.http)),
  };
  const position = parseDevicePosition(oneHeader(headers[HEADER_DEVICE]) ?? '');
  const from = clientAddress(life.req, life.http);
  const mayChange = life.route.body !== 'file' && method !== 'GET' && method !== 'HEAD';
  life.signing = startSigning(life.req, credentials);
  const caller =
    life.signing === null
      ? await authenticate(life.deps, readCredential(credentials), from, position, { mayChange })
      : await signedCaller(life.deps, life.signing, {
          req: life.req,
          res: life.res,
          route: life.route,
          from,
          position,
        });
  life.credential = caller;
  life.caller = caller;
  const onBehalf = oneHeader(headers[HEADER_ON_BEHALF]);
  if (caller.key.kind === 'gateway' || onBehalf !== undefined) {
    const { operationId } = life.route.operation;
    life.caller = await actingCaller(life.deps, caller, { operationId, onBehalf });
  }
  // A browser sends its cookie without being asked; what changes something must come from our own pages.
  if (life.caller.via === 'session' && method !== 'GET' && method !== 'HEAD')
    refuseCrossSite(life.req, publicUrlOf(life.req, life.http));
}

/**
 * Whoever keeps the last byte of a small body back may have lost his key, session or role meanwhile: what he came with
 * must hold when the request is whole, or a thief could leave requests lying to make himself a new key with. Bodies that
 * came with their head, as nearly all do, cost nothing here; devices and uploads look again with their own commit.
 */
async function hearOut({ deps, req, res, route, credential }: Lifecycle): Promise<void> {
  if (route?.body !== 'json' || credential === null || req.complete || credential.key.kind === 'device') return;
  admitting({ req, res }).admitted();
  await readWhole(req, JSON_BYTES_MAX);
  const over = await whyOver(deps, credential);
  if (over !== null) throw over;
}

/**
 * No id and no filter has a NUL in it, and no store can hold one: such an address names nothing. Names of files are
 * judged with the upload they belong to.
 */
function refuseUnstorable({ req, params, route }: Lifecycle): void {
  if (route === null || route.body === 'file') return;
  const query = req.url?.split('?')[1] ?? '';
  if (!query.includes('%00') && !Object.values(params).some((value) => value.includes('\u0000'))) return;
  throw new FuselinkError('bad_request', 'Expected an address without NUL characters (%00), got one with some.');
}

async function callHandler(life: Lifecycle): Promise<void> {
  const { deps, http, req, res, params, route } = life;
  if (route === null) return;
  let query: URLSearchParams | null = null;
  const context: RequestContext = {
    deps,
    http,
    req,
    res,
    params,
    get query() {
      query ??= new URLSearchParams(req.url?.split('?')[1] ?? '');
      return query;
    },
    get caller(): Caller {
      if (life.caller === null) throw new Error(`${route.path} asks for a caller but does not authenticate`);
      return life.caller;
    },
    get from() {
      return clientAddress(req, http);
    },
    get publicUrl() {
      return publicUrlOf(req, http);
    },
  };
  if (route.quarantined !== true && life.caller !== null) refuseQuarantined(life.caller);
  life.answer = await route.handle(context);
}

async function writeAnswer(life: Lifecycle, answer: Answer): Promise<void> {
  const { res, req, deps, caller } = life;
  const { uploadsPerWindow, uploadWindowMs } = deps.settings;
  res.setHeader('ratelimit-policy', `"uploads";q=${uploadsPerWindow};w=${uploadWindowMs / 1000}`);
  if (caller !== null) {
    // An upload has changed what was counted when it began.
    const window = await (life.route?.body === 'file' ? uploadWindow : uploadWindowSeen)(deps, caller);
    res.setHeader('ratelimit', `"uploads";r=${window.remaining};t=${window.resetSeconds}`);
    if (isDevice(caller)) await tellDevice(life, caller);
  }
  const text = answer.json === undefined ? (answer.text ?? '') : JSON.stringify(answer.json);
  const type = answer.json === undefined ? answer.type : 'application/json; charset=utf-8';
  if (type !== undefined) res.setHeader('content-type', type);
  for (const [name, value] of Object.entries(answer.headers ?? {})) res.setHeader(name, value);
  // Small devices read an answer without a length as empty. A HEAD answer keeps the length its handler gave.
  const bodiless = req.method === 'HEAD' || answer.status === 204 || answer.status === 304;
  if (!bodiless) res.setHeader('content-length', Buffer.byteLength(text));
  if (life.signing !== null)
    setSignature(deps, life.signing, { res, status: answer.status, body: bodiless ? '' : text });
  if (hasUnreadBody(req)) lingerAfterAnswer(req, res);
  res.writeHead(answer.status);
  res.end(bodiless ? undefined : text);
}

/**
 * Every answer to a device says what the server wants of its key, so that one that only uploads learns of it. Where the
 * store cannot say, the answer goes out without: the device hears it the next time.
 */
async function tellDevice({ res, deps }: Lifecycle, caller: Caller): Promise<void> {
  try {
    const told = formatRotationTold(await afterDeviceRequest(deps, caller));
    if (told !== '') res.setHeader(HEADER_ROTATION, told);
  } catch (error) {
    deps.warn('what a device is to be told could not be read', error);
  }
}

/** What Node could not even parse as a request, or what broke in the middle: answered while the socket still can. */
export function answerClientError(error: Error & { code?: string; rawPacket?: Buffer }, socket: Socket): void {
  if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const known =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new FuselinkError('headers_too_large', 'Expected at most 16 KB of header fields, got more.')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new FuselinkError('request_timeout', 'Expected the whole request head within 30 s.')
        : error.code === 'HPE_INVALID_EOF_STATE'
          ? new FuselinkError(
              'body_truncated',
              'Expected the whole body as announced, got fewer bytes; nothing was kept.',
            )
          : new FuselinkError('bad_request', 'Expected an HTTP/1.1 request, got something else.');
  const answer = problemAnswer(known);
  const text = answer.text ?? '';
  const head = [
    `HTTP/1.1 ${answer.status} ${known.code}`,
    `Content-Type: ${answer.type}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
    '',
    text,
  ];
  socket.end(head.join('\r\n'), () => socket.destroy());
}

/** A trusted proxy's own id, so that its log and ours speak of the same request; else a new one. */
function requestId(req: IncomingMessage, { deps, http }: Serving): string {
  const said = http.trustProxy ? oneHeader(req.headers['x-request-id']) : undefined;
  if (said !== undefined && /^[\w-]{8,64}$/.test(said)) return said;
  return toHex(deps.random.bytes(REQUEST_ID_BYTES));
}

/** Counts the request when its connection has let go of it, and tells the log. */
function observeEnd(life: Lifecycle): void {
  const { deps, http, req, res, route, id } = life;
  const beganMs = deps.clock.monotonicMs();
  res.once('close', () => {
    const seconds = (deps.clock.monotonicMs() - beganMs) / 1000;
    const operation = route?.operation.operationId ?? 'none';
    deps.metrics.count('fuselink_requests_total', { operation, status: String(res.statusCode) });
    deps.metrics.observe('fuselink_request_seconds', seconds);
    const at = { method: req.method, route: routeName(life), status: res.statusCode, seconds };
    http.logRequest?.({ request_id: id, ...at, key_id: life.caller?.key.id ?? null });
  });
}

/** The route's own pattern: a real path may carry a link or an upload's secret. */
function routeName(serving: Serving): string {
  return serving.route?.path ?? '(none)';
}

function pathOf(req: IncomingMessage): string {
  return req.url?.split('?')[0] ?? '/';
}
