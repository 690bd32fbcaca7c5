import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthSources {
  /** Prometheus text. */
  metrics(): string;
  health(): object;
}

/** `/healthz` and `/metrics` on `host:port`; rejects with the system's error where it cannot listen there. */
export async function listenForHealth(at: string, sources: HealthSources) {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    const text =
      path === '/metrics' ? sources.metrics() : path === '/healthz' ? `${JSON.stringify(sources.health())}\n` : null;
    const type = path === '/metrics' ? 'text/plain; version=0.0.4; charset=utf-8' : 'application/json';
    response.writeHead(text === null ? 404 : 200, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(text ?? ''),
    });
    response.end(text ?? '');
  });
  const { hostname, port } = new URL(`http://${at}`);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(port || 80), hostname.replace(/^\[|\]$/g, ''), resolve);
  });
  return {
    url: `http://${hostname}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
