import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { BridgeLimits } from '../limits.ts';

export type ListenScheme = 'mqtt' | 'mqtts' | 'ws' | 'wss';

export interface ListenAddress {
  scheme: ListenScheme;
  host: string;
  port: number;
}

export interface ListenerOptions {
  address: ListenAddress;
  limits: BridgeLimits;
  /** PEM files, for `mqtts` and `wss`. */
  certFile: string | null;
  keyFile: string | null;
  handle(socket: Duplex): void;
}

export interface Listener {
  /** As it was bound: a port of 0 has become a real one. */
  url: string;
  close(): Promise<void>;
}

const SCHEMES: readonly string[] = ['mqtt', 'mqtts', 'ws', 'wss'];
const DEFAULT_PORTS: Record<ListenScheme, number> = { mqtt: 1883, mqtts: 8883, ws: 9001, wss: 9443 };

/** `mqtt://0.0.0.0:1883` and the like. Throws RangeError that says what was expected. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(\w+):\/\/(\[[0-9a-fA-F:.]+\]|[^/:[\]]+)(?::(\d{1,5}))?\/?$/.exec(text);
  const scheme = match?.[1] ?? '';
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (match === null || !SCHEMES.includes(scheme) || (port !== undefined && port > 65_535)) {
    throw new RangeError(`expected mqtt://, mqtts://, ws:// or wss:// with host and port, got "${text}"`);
  }
  const host = (match[2] as string).replace(/^\[|\]$/g, '');
  return { scheme: scheme as ListenScheme, host, port: port ?? DEFAULT_PORTS[scheme as ListenScheme] };
}

/** Listens; rejects with the system's error where it cannot. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { address } = options;
  const server = serverFor(options);
  server.listen(address.port, address.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    url: `${address.scheme}://${host}:${port}`,
    // Takes no more from now on. Connections that are open are the broker's to end, so they are not waited for here.
    async close() {
      server.close();
    },
  };
}

function serverFor(options: ListenerOptions): Server | HttpServer {
  const { scheme } = options.address;
  const secure = scheme === 'mqtts' || scheme === 'wss' ? tlsOptions(options) : null;
  const handle = (socket: Duplex) => {
    socket.on('error', () => {});
    options.handle(socket);
  };
  if (scheme === 'mqtt') return createServer({ noDelay: true }, handle);
  if (scheme === 'mqtts') {
    return createTlsServer({ ...secure, noDelay: true, handshakeTimeout: options.limits.connectTimeoutMs }, handle).on(
      'tlsClientError',
      () => {},
    );
  }
  const http = { headersTimeout: options.limits.connectTimeoutMs, requestTimeout: options.limits.connectTimeoutMs };
  const server = secure === null ? createHttpServer(http) : createHttpsServer({ ...http, ...secure });
  server.on('request', (_request, response) => {
    response.writeHead(426, { Upgrade: 'websocket', Connection: 'close', 'Content-Length': 0 }).end();
  });
  const sockets = new WebSocketServer({
    server,
    // A frame of WebSocket may hold several packets or a part of one.
    maxPayload: options.limits.packetBytesMax * 2,
    perMessageDeflate: false,
    // [MQTT-6.0.0-3]; 3.1 clients say mqttv3.1.
    handleProtocols: (offered) => ['mqtt', 'mqttv3.1'].find((name) => offered.has(name)) ?? false,
  });
  sockets.on('connection', (socket) => {
    // [MQTT-6.0.0-1]: control packets travel in binary frames.
    socket.on('message', (_data, isBinary) => void (isBinary || socket.terminate()));
    handle(createWebSocketStream(socket));
  });
  return server;
}

function tlsOptions({ certFile, keyFile, address }: ListenerOptions) {
  if (certFile === null || keyFile === null) {
    throw new RangeError(`${address.scheme}: expected a certificate and its key (tls.cert and tls.key), got none`);
  }
  return { cert: readFileSync(certFile), key: readFileSync(keyFile), minVersion: 'TLSv1.2' as const };
}
