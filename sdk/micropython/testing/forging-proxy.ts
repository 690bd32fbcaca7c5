import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** One answer on its way back. */
export interface Passing {
  method: string;
  path: string;
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

export interface ForgingProxy {
  url: string;
  /** Everything that went to the server: heads and bodies. */
  seen: string;
  requests: number;
  /** Changes answers as somebody on the line could; null lets them pass. */
  forge: ((answer: Passing) => unknown) | null;
  close(): Promise<void>;
}

/** A machine in the middle of a line without TLS. */
export async function startForgingProxy(port: number): Promise<ForgingProxy> {
  const server = http.createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    proxy.requests++;
    proxy.seen += `${request.method} ${request.url}\n${request.rawHeaders.join('\n')}\n${body.toString('latin1')}\n`;
    const { method = '', url: path = '', headers } = request;
    const passed = http.request({ host: '127.0.0.1', port, method, path, headers, agent: false });
    passed.on('error', () => request.socket.destroy());
    passed.end(body);
    passed.on('response', async (from) => {
      const answered: Buffer[] = [];
      for await (const part of from) answered.push(part as Buffer);
      const answer: Passing = {
        method,
        path,
        status: from.statusCode ?? 0,
        headers: {},
        body: Buffer.concat(answered),
      };
      for (const [name, value] of Object.entries(from.headers)) answer.headers[name] = String(value);
      proxy.forge?.(answer);
      delete answer.headers['transfer-encoding'];
      delete answer.headers['connection'];
      if (method !== 'HEAD' && answer.status !== 204) answer.headers['content-length'] = String(answer.body.length);
      response.writeHead(answer.status, answer.headers).end(answer.body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: ForgingProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: '',
    requests: 0,
    forge: null,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
