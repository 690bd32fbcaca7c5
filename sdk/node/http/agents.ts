import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { FuselinkError } from '../errors.ts';
import type { ProxyTarget } from './proxy.ts';

export interface TlsOptions {
  /** PEM certificates trusted beside the system's. */
  ca?: string | readonly string[];
  /** Client certificate and key, PEM. */
  cert?: string;
  key?: string;
}

/** Idle sockets are kept for this long; servers close theirs after 5 s by default, so leave before them. */
const KEEP_ALIVE_MS = 4000;
const CONNECT_TIMEOUT_MS = 30_000;

type ConnectCallback = (error: Error | null, socket: Duplex) => void;
/** An agent reads the socket only where there is no error, although the types want both. */
const NO_SOCKET = undefined as unknown as Duplex;

/** An https agent whose sockets are TLS inside a CONNECT tunnel (RFC 9110 §9.3.6). */
class TunnelAgent extends https.Agent {
  readonly #proxy: ProxyTarget;

  constructor(proxy: ProxyTarget, options: https.AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  override createConnection(options: http.ClientRequestArgs, done?: ConnectCallback): undefined {
    const callback: ConnectCallback = done ?? (() => {});
    const target = `${options.host?.includes(':') ? `[${options.host}]` : options.host}:${options.port}`;
    const headers: Record<string, string> = { Host: target };
    if (this.#proxy.authorization !== null) headers['Proxy-Authorization'] = this.#proxy.authorization;
    const { host, port } = this.#proxy;
    const connect = http.request({ host, port, method: 'CONNECT', path: target, headers, agent: false });
    connect.setTimeout(CONNECT_TIMEOUT_MS, () => connect.destroy(new Error('the proxy did not answer')));
    connect.once('error', (cause) => {
      callback(new FuselinkError('unreachable', `proxy ${host}:${port}: ${cause.message}`, { cause }), NO_SOCKET);
    });
    connect.once('response', (answer) => {
      answer.resume();
      connect.destroy();
      callback(refusal(this.#proxy, answer.statusCode ?? 0), NO_SOCKET);
    });
    connect.once('connect', (answer, socket, head) => {
      socket.setTimeout(0);
      if (answer.statusCode !== 200 || head.length > 0) {
        socket.destroy();
        callback(refusal(this.#proxy, answer.statusCode ?? 0), NO_SOCKET);
        return;
      }
      const secure = tls.connect({ ...options, socket, host: undefined, port: undefined } as tls.ConnectionOptions);
      const failed = (error: Error) => callback(error, NO_SOCKET);
      secure.once('error', failed);
      secure.once('secureConnect', () => {
        secure.removeListener('error', failed);
        callback(null, secure);
      });
    });
    connect.end();
    return undefined;
  }
}

function refusal(proxy: ProxyTarget, status: number): FuselinkError {
  const meaning = status === 407 ? 'it wants other credentials' : 'it will not connect to this server';
  const message = `the proxy ${proxy.host}:${proxy.port} answered ${status}: ${meaning}`;
  return new FuselinkError('proxy_refused', message, { status });
}

export interface Agents {
  agentFor(url: URL, proxy: ProxyTarget | null): http.Agent;
  close(): void;
}

/** The sockets of one client: TLS 1.2 and later, kept alive, one pool per proxy. */
export function createAgents(options: TlsOptions): Agents {
  const extra = options.ca === undefined ? [] : typeof options.ca === 'string' ? [options.ca] : options.ca;
  const secure: https.AgentOptions = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, minVersion: 'TLSv1.2' };
  if (extra.length > 0) secure.ca = [...tls.rootCertificates, ...extra];
  if (options.cert !== undefined) secure.cert = options.cert;
  if (options.key !== undefined) secure.key = options.key;
  const plainAgent = new http.Agent({ keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS });
  const secureAgent = new https.Agent(secure);
  const tunnels = new Map<string, TunnelAgent>();
  return {
    agentFor(url, proxy) {
      if (url.protocol !== 'https:') return plainAgent;
      if (proxy === null) return secureAgent;
      const name = `${proxy.host}:${proxy.port}:${proxy.authorization ?? ''}`;
      let tunnel = tunnels.get(name);
      if (tunnel === undefined) {
        tunnel = new TunnelAgent(proxy, secure);
        tunnels.set(name, tunnel);
      }
      return tunnel;
    },
    close() {
      for (const agent of [plainAgent, secureAgent, ...tunnels.values()]) agent.destroy();
    },
  };
}
