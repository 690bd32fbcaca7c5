import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { FuselinkError } from '../errors.ts';
import type { ProxyTarget } from './proxy.ts';

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

export function tunnelAgent(proxy: ProxyTarget, options: https.AgentOptions): https.Agent {
  return new TunnelAgent(proxy, options);
}
