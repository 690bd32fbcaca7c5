import type { IncomingMessage } from 'node:http';
import { oneHeader } from './body/header-text.ts';
import type { HttpSettings } from './route.ts';

/** Address of the client; behind a trusted proxy the one it appended last to X-Forwarded-For. */
export function clientAddress(req: IncomingMessage, http: HttpSettings): string {
  const direct = (req.socket.remoteAddress ?? 'unknown').replace(/^::ffff:/, '');
  if (!http.trustProxy) return direct;
  const last = oneHeader(req.headers['x-forwarded-for'])?.split(',').pop()?.trim();
  return last !== undefined && /^[0-9a-fA-F.:]{2,45}$/.test(last) ? last : direct;
}

/** `https://host[:port]` under which the client reached us, for the links it is given. */
export function publicUrlOf(req: IncomingMessage, http: HttpSettings): string {
  if (http.publicUrl !== null) return http.publicUrl;
  const forwarded = http.trustProxy ? oneHeader(req.headers['x-forwarded-host']) : undefined;
  const protocol = http.trustProxy ? oneHeader(req.headers['x-forwarded-proto']) : undefined;
  const scheme = http.tls || protocol?.split(',')[0]?.trim() === 'https' ? 'https' : 'http';
  const host = forwarded ?? req.headers.host;
  // HTTP/1.0 clients send no Host at all; then our own address is the best we know.
  if (host !== undefined && /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?$/.test(host))
    return `${scheme}://${host}`;
  const { localAddress = '127.0.0.1', localPort = 0 } = req.socket;
  const address = localAddress.replace(/^::ffff:/, '');
  return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${localPort}`;
}
