import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatRotationTold, HEADER_DEVICE, HEADER_ROTATION, parseDevicePosition } from '#sdk/protocol';
import { createMemoryBlobs } from '../adapters/memory/blob-store.ts';
import { createMemoryStore } from '../adapters/memory/metadata-store.ts';
import { nodeCrypto } from '../adapters/node/crypto.ts';
import { joseTokens } from '../adapters/sign-in/tokens.ts';
import { otpauthTotp } from '../adapters/sign-in/totp.ts';
import { readCredential } from '../domain/credential/credential-header.ts';
import { asFuselinkError, problemAnswer } from '../http/problem.ts';
import type { HttpSettings, RouteDef } from '../http/route.ts';
import { ROUTES } from '../http/routes.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Clock, Crypto, Random } from '../ports/crypto.ts';
import type { MetadataStore } from '../ports/metadata-store.ts';
import { readSettings } from '../settings.ts';
import { createAccount, operatorOf } from '../usecases/account/create-account.ts';
import { auditRefused } from '../usecases/audit/refusals.ts';
import { type Caller, refuseQuarantined } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import { EventHub } from '../usecases/events/event-hub.ts';
import { authenticate } from '../usecases/key/authenticate.ts';
import { Metrics } from '../usecases/metrics/metrics.ts';
import { Endings } from '../usecases/read/endings.ts';
import { afterDeviceRequest } from '../usecases/rotation/hear.ts';
import { createKeyring } from '../usecases/sealing/keyring.ts';
import { sweepOnce } from '../usecases/sweep.ts';
import { ActiveUploads } from '../usecases/upload/active-uploads.ts';
import { uploadWindow } from '../usecases/upload/admission.ts';
import { HashCache } from '../usecases/upload/hash-cache.ts';
import { useCaseSettings } from '../wiring.ts';
import { type RelayContent, type RelayRead, readContent } from './read-content.ts';
import { stillRequest } from './still-request.ts';

/** A request as HTTP would carry it, without a socket. Header names in lower case. */
export interface RelayRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  body: Uint8Array | null;
}

/** The answer as HTTP would carry it; `json` is the body's object. */
export interface RelayAnswer {
  status: number;
  headers: Record<string, string>;
  json: Record<string, unknown> | null;
}

export interface RelayOptions {
  clock: Clock;
  random: Random;
  crypto?: Crypto;
  /** 32 bytes: what FUSELINK_SECRET would be. */
  secret: Uint8Array;
  store?: MetadataStore;
  blobs?: BlobStore;
  /** No other node works on the store: what is found unfinished at start is nobody's. Default true. */
  alone?: boolean;
  warn: Deps['warn'];
}

/** One node of a relay in this process: every use case behind its endpoint, on whatever stores, clock and chance it is given. */
export interface Relay {
  deps: Deps;
  /** Never rejects for what a client may do. `operator`: the caller is the operator at the server, without a credential. */
  call(request: RelayRequest, operator?: Caller): Promise<RelayAnswer>;
  /** The bytes behind a link. Never rejects for what a reader may do. */
  read(request: RelayRead): Promise<RelayContent>;
  /** What the running server does every few seconds. */
  sweep(atStart: boolean): Promise<void>;
}

const HTTP: HttpSettings = {
  publicUrl: 'http://relay',
  trustProxy: false,
  tls: false,
  idleTimeoutMs: 60_000,
  lingerMs: 0,
  version: 'in process',
};
const FROM = 'in-process';
/** There is nobody outside to be told. */
const NO_WEBHOOKS: Deps['webhooks'] = {
  post: async () => ({ kind: 'refused', why: 'nothing leaves this process' }),
  refusal: () => 'nothing leaves this process',
  close() {},
};
const BLOB_BYTES_MAX = 1_073_741_824;

/** A relay without sockets or timers: nothing happens in it but what is called. */
export function createRelay(options: RelayOptions): Relay {
  const crypto = options.crypto ?? nodeCrypto;
  const { clock, random, warn } = options;
  const settings = useCaseSettings(readSettings({ FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' }));
  const deps: Deps = {
    store: options.store ?? createMemoryStore(),
    blobs: options.blobs ?? createMemoryBlobs({ bytesMax: BLOB_BYTES_MAX }),
    clock,
    random,
    crypto,
    totp: otpauthTotp,
    tokens: joseTokens,
    keyring: createKeyring({ current: 1, keys: new Map([[1, options.secret]]) }, { crypto, random }),
    // Nonces that outlive a restore are a matter of recorded requests, and nobody records here.
    epoch: 0,
    settings: { ...settings, singleNode: options.alone ?? true },
    active: new ActiveUploads(),
    hashes: new HashCache(),
    endings: new Endings(),
    events: new EventHub(),
    webhooks: NO_WEBHOOKS,
    metrics: new Metrics(),
    warn,
  };
  return {
    deps,
    call: (request, operator) => serveInProcess(deps, request, operator ?? null),
    read: (request) => readContent(deps, request, FROM),
    async sweep(atStart) {
      await sweepOnce(deps, { atStart });
    },
  };
}

/** An account to enrol devices under, and the operator at the server acting for it. */
export async function openRelayAccount(relay: Relay, email: string): Promise<Caller> {
  const { accountId, row } = await createAccount(relay.deps, { email });
  return operatorOf(accountId, row);
}

/** The life of a request as `http/serve.ts` has it, without what only a socket needs. */
async function serveInProcess(deps: Deps, request: RelayRequest, operator: Caller | null): Promise<RelayAnswer> {
  let caller = operator;
  let answer: RelayAnswer;
  const at = request.path.indexOf('?');
  const path = at < 0 ? request.path : request.path.slice(0, at);
  const found = routeOf(request.method, path);
  const operation = found?.route.operation.operationId ?? 'none';
  try {
    const needsKey = found?.route.auth === 'key' && caller === null;
    if (needsKey) caller = await identify(deps, request, found.route);
    if (caller !== null && found?.route.quarantined !== true) refuseQuarantined(caller);
    if (found === null) answer = { status: 404, headers: {}, json: { code: 'not_found' } };
    else answer = await byRoute(deps, caller, { request, ...found, query: at < 0 ? '' : request.path.slice(at + 1) });
  } catch (error) {
    const known = asFuselinkError(error);
    if (known.code === 'internal' || known.code.startsWith('storage_')) {
      deps.warn(`${request.method} ${found?.route.path ?? '(none)'} failed`, known.cause);
    }
    if (caller !== null) await auditRefused(deps, caller, { error: known, operation });
    answer = asAnswer(problemAnswer(known));
  }
  if (caller !== null && operator === null) await tell(deps, caller, answer);
  return answer;
}

async function identify(deps: Deps, { headers, method }: RelayRequest, route: RouteDef): Promise<Caller> {
  const said = readCredential({
    authorization: headers['authorization'],
    xApiKey: headers['x-api-key'],
    sessionCookie: undefined,
  });
  const position = parseDevicePosition(headers[HEADER_DEVICE] ?? '');
  return authenticate(deps, said, FROM, position, { mayChange: route.body !== 'file' && method !== 'GET' });
}

interface Found {
  route: RouteDef;
  params: Record<string, string>;
}

const SPLIT_ROUTES = ROUTES.map((route) => ({ route, parts: route.path.split('/') }));

const EXACT = new Map(
  ROUTES.filter(({ path }) => !path.includes(':')).map((route) => [
    `${route.method} ${route.path}`,
    { route, params: {} },
  ]),
);

function routeOf(method: string, path: string): Found | null {
  const exact = EXACT.get(`${method} ${path}`);
  if (exact !== undefined) return exact;
  const got = path.split('/');
  for (const { route, parts } of SPLIT_ROUTES) {
    if (route.method !== method || parts.length !== got.length) continue;
    if (!parts.every((part, i) => part.startsWith(':') || part === got[i])) continue;
    const params: Record<string, string> = {};
    for (const [i, part] of parts.entries()) if (part.startsWith(':')) params[part.slice(1)] = got[i] ?? '';
    return { route, params };
  }
  return null;
}

async function byRoute(
  deps: Deps,
  caller: Caller | null,
  what: Found & { request: RelayRequest; query: string },
): Promise<RelayAnswer> {
  const answer = await what.route.handle({
    deps,
    http: HTTP,
    req: stillRequest(what.request) as IncomingMessage,
    res: NO_RESPONSE,
    params: what.params,
    query: new URLSearchParams(what.query),
    get caller(): Caller {
      if (caller === null) throw new Error(`${what.route.path} asks for a caller but does not authenticate`);
      return caller;
    },
    from: FROM,
    publicUrl: HTTP.publicUrl ?? '',
  });
  if (answer === null) throw new Error(`${what.route.path} writes its answer to a socket, and there is none`);
  return asAnswer(answer);
}

/** Routes that answer with JSON leave the response alone; an upload that has to wait for its place asks whether it is gone. */
const NO_RESPONSE = { once() {}, off() {}, setHeader() {} } as unknown as ServerResponse;

function asAnswer(answer: {
  status: number;
  headers?: Record<string, string | number>;
  json?: unknown;
  text?: string;
}): RelayAnswer {
  const headers: Record<string, string> = {};
  for (const name in answer.headers) headers[name] = String(answer.headers[name]);
  const json = answer.json ?? (answer.text === undefined ? null : JSON.parse(answer.text));
  return { status: answer.status, headers, json: json as RelayAnswer['json'] };
}

async function tell(deps: Deps, caller: Caller, answer: RelayAnswer): Promise<void> {
  const window = await uploadWindow(deps, caller);
  answer.headers['ratelimit'] = `"uploads";r=${window.remaining};t=${window.resetSeconds}`;
  try {
    const told = formatRotationTold(await afterDeviceRequest(deps, caller));
    if (told !== '') answer.headers[HEADER_ROTATION] = told;
  } catch (error) {
    deps.warn('what a device is to be told could not be read', error);
  }
}
