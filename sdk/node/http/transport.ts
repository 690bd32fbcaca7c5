import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http';
import { FuselinkError, systemCode } from '../errors.ts';
import type { TlsOptions } from './agents.ts';
import { createAgents } from './agents.ts';
import type { ProxyTarget } from './proxy.ts';

/** Answers the SDK reads whole are small JSON; more than this is not one of ours. */
const ANSWER_BYTES_MAX = 262_144;
/** How long an `Expect: 100-continue` waits for a path that ignores it (RFC 9110 §10.1.1: not for ever). */
const CONTINUE_WAIT_MS = 3000;
export const SILENCE_MS_DEFAULT = 120_000;

/** Writes one piece of a body; resolves when the kernel has it, so the piece's memory may then be used again. */
export type WritePiece = (piece: Uint8Array) => Promise<void>;

export interface HttpRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  /** Bytes, or a producer of exactly the `Content-Length` in `headers`; null: no body. */
  body?: Uint8Array | ((write: WritePiece) => Promise<void>) | null;
  /** Ask before sending the body, so that a refusal costs a header instead of a body. */
  expectContinue?: boolean;
  signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface HttpStream {
  status: number;
  headers: IncomingHttpHeaders;
  /** Bytes as they come; throws a FuselinkError when they end before their announced length. */
  bytes: AsyncIterable<Buffer>;
  /** Read the rest as a small body (for refusals). */
  text(): Promise<Buffer>;
  discard(): void;
}

export interface TransportOptions extends TlsOptions {
  /** `http://[user:password@]host:port`; null: none, whatever the environment says. */
  proxy?: string | null | undefined;
  /** No byte in either direction for this long means that nobody is there. There is no limit on the whole. */
  silenceMs?: number | undefined;
  env?: NodeJS.ProcessEnv;
}

export interface Transport {
  /** One request and its whole, small answer. Throws FuselinkError for everything that is not an answer. */
  exchange(request: HttpRequest): Promise<HttpAnswer>;
  /** One request whose answer may be large. */
  open(request: HttpRequest): Promise<HttpStream>;
  close(): void;
}

const PROXY_VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'all_proxy', 'ALL_PROXY'];
const UNREACHABLE = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'ETIMEDOUT'];

/** What a failed request means, in our codes. The host is named; path and query may hold a secret and are not. */
export function connectionError(error: unknown, url: URL): FuselinkError {
  if (error instanceof FuselinkError) return error;
  const code = systemCode(error);
  const text = error instanceof Error ? error.message : String(error);
  const facts = { cause: error, resumable: true };
  if (UNREACHABLE.includes(code)) return new FuselinkError('unreachable', `${url.host}: ${text}`, facts);
  if (/CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ALTNAME|ERR_SSL|ERR_TLS/.test(code)) {
    return new FuselinkError('tls_untrusted', `${url.host}: ${text} (${code})`, facts);
  }
  return new FuselinkError('connection_lost', `${url.host}: ${text}${code === '' ? '' : ` (${code})`}`, facts);
}

class Answered extends Error {}

/** Errors of requests that went out on a kept-alive socket: the server may have closed it long ago. */
const onReusedSocket = new WeakSet<Error>();

interface Running {
  request: ClientRequest;
  answer: Promise<IncomingMessage>;
  touch(): void;
  finished(): void;
  /** Why this side ended the request, if it did. */
  reason(): FuselinkError | null;
}

/** HTTP/1.1 over `node:http(s)`: `fetch` buffers whole upload bodies. */
export function createTransport(options: TransportOptions = {}): Transport {
  const agents = createAgents(options);
  const silenceMs = options.silenceMs ?? SILENCE_MS_DEFAULT;
  const env = options.env ?? process.env;

  /** What knows proxies is loaded only where one may be meant. */
  const mayHaveProxy = () =>
    options.proxy === undefined ? PROXY_VARIABLES.some((name) => env[name]) : options.proxy !== null;

  async function proxyOf(url: URL): Promise<ProxyTarget | null> {
    const { proxyFor } = await import('./proxy.ts');
    return proxyFor(url, options.proxy, env);
  }

  function begin(wanted: HttpRequest, proxy: ProxyTarget | null, agent: Agent): Running {
    const { url, signal } = wanted;
    const headers: Record<string, string> = { 'User-Agent': 'fuselink-sdk', ...wanted.headers };
    const body = wanted.body ?? null;
    if (body instanceof Uint8Array) headers['Content-Length'] = String(body.byteLength);
    else if (body === null && wanted.method !== 'GET' && wanted.method !== 'HEAD') headers['Content-Length'] = '0';
    const expects = wanted.expectContinue === true && body !== null;
    if (expects) headers['Expect'] = '100-continue';
    const target: RequestOptions = {
      method: wanted.method,
      headers,
      agent,
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port || (url.protocol === 'https:' ? 443 : 80),
      path: url.pathname + url.search,
    };
    if (proxy !== null && url.protocol === 'http:') {
      // RFC 9112 §3.2.2: absolute-form to a proxy.
      Object.assign(target, { host: proxy.host, port: proxy.port, path: url.origin + url.pathname + url.search });
      headers['Host'] = url.host;
      if (proxy.authorization !== null) headers['Proxy-Authorization'] = proxy.authorization;
    }
    if (signal?.aborted) throw abortError();
    const request = agents.request(url, target);

    // One promise to race each piece against would collect a reaction for every piece of a 5 GiB body.
    const writing: Writing = { stopped: null, reject: null };
    const stopBody = (why: Error) => {
      writing.stopped ??= why;
      writing.reject?.(why);
    };
    let reason: FuselinkError | null = null;
    const give = (error: FuselinkError) => {
      reason ??= error;
      request.destroy(error);
    };
    const silent = () => {
      const seconds = Math.round(silenceMs / 1000);
      give(new FuselinkError('silent', `${url.host} was silent for ${seconds} s`, { resumable: true }));
    };
    const watchdog = setTimeout(silent, silenceMs);
    const touch = () => void watchdog.refresh();
    const onAbort = () => give(abortError());
    signal?.addEventListener('abort', onAbort, { once: true });
    const finished = () => {
      clearTimeout(watchdog);
      signal?.removeEventListener('abort', onAbort);
    };

    let answered = false;
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      const fail = (error: unknown) => {
        const mapped = connectionError(reason ?? error, url);
        if (request.reusedSocket && systemCode(error) === 'ECONNRESET') onReusedSocket.add(mapped);
        stopBody(mapped);
        finished();
        reject(mapped);
      };
      request.on('error', fail);
      request.once('close', () => fail(new Error('the connection closed before an answer')));
      request.on('socket', (socket) => {
        touch();
        // A kept-alive socket is connected already, and would collect listeners.
        if (!socket.connecting) return;
        socket.once('connect', touch);
        socket.once('secureConnect', touch);
      });
      request.on('information', touch);
      request.once('response', (message) => {
        touch();
        answered = true;
        stopBody(new Answered());
        resolve(message);
      });
      const produce = async () => {
        if (body === null || body instanceof Uint8Array) {
          request.end(body ?? undefined);
          return;
        }
        await body((piece) => writePiece(request, piece, writing, touch));
        request.end();
      };
      const start = () => {
        produce().catch((error: unknown) => {
          if (error instanceof Answered) return;
          request.destroy(error instanceof Error ? error : new Error(String(error)));
        });
      };
      if (expects) {
        const timer = setTimeout(go, CONTINUE_WAIT_MS);
        function go(): void {
          clearTimeout(timer);
          request.removeListener('continue', go);
          if (!request.destroyed && !answered) start();
        }
        request.once('continue', go);
        request.once('response', () => clearTimeout(timer));
        request.once('close', () => clearTimeout(timer));
        request.flushHeaders();
      } else start();
    });
    return { request, answer, touch, finished, reason: () => reason };
  }

  async function* read(running: Running, message: IncomingMessage, url: URL): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of message) {
        running.touch();
        yield chunk as Buffer;
        running.touch();
      }
      if (!message.complete) throw new Error('the answer ended before it was complete');
    } catch (error) {
      // The socket carries the reason we gave (silence, abort); the message itself only says "aborted".
      throw connectionError(running.reason() ?? error, url);
    } finally {
      running.finished();
      if (!message.complete || !running.request.writableFinished) running.request.destroy();
    }
  }

  async function open(wanted: HttpRequest): Promise<HttpStream> {
    const proxy = mayHaveProxy() ? await proxyOf(wanted.url) : null;
    const running = begin(wanted, proxy, await agents.agentFor(wanted.url, proxy));
    const message = await running.answer;
    const bytes = read(running, message, wanted.url);
    return {
      status: message.statusCode ?? 0,
      headers: message.headers,
      bytes,
      text: () => readSmall(bytes),
      discard() {
        running.finished();
        running.request.destroy();
      },
    };
  }

  async function exchange(wanted: HttpRequest): Promise<HttpAnswer> {
    try {
      const answer = await open(wanted);
      const body = await answer.text();
      if (answer.status === 417 && wanted.expectContinue) return exchange({ ...wanted, expectContinue: false });
      return { status: answer.status, headers: answer.headers, body };
    } catch (error) {
      if (onReusedSocket.has(error as Error) && typeof wanted.body !== 'function') return await again(wanted);
      throw error;
    }
  }

  // A kept-alive socket the server closed meanwhile says nothing about the server: ask once more on a new one.
  async function again(wanted: HttpRequest): Promise<HttpAnswer> {
    const answer = await open({ ...wanted, headers: { ...wanted.headers, Connection: 'close' } });
    return { status: answer.status, headers: answer.headers, body: await answer.text() };
  }

  return { exchange, open, close: () => agents.close() };
}

function abortError(): FuselinkError {
  return new FuselinkError('aborted', 'the caller stopped it', { resumable: true });
}

/** The piece being written, and why no more will be, once that is so. */
interface Writing {
  stopped: Error | null;
  reject: ((why: Error) => void) | null;
}

function writePiece(request: ClientRequest, piece: Uint8Array, writing: Writing, touch: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    if (writing.stopped !== null) {
      reject(writing.stopped);
      return;
    }
    writing.reject = reject;
    request.write(piece, (error) => {
      touch();
      writing.reject = null;
      if (error) reject(error);
      else resolve();
    });
  });
}

async function readSmall(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of bytes) {
    size += part.length;
    if (size > ANSWER_BYTES_MAX) {
      throw new FuselinkError('not_fuselink', `expected an answer of at most ${ANSWER_BYTES_MAX} bytes, got more`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}
