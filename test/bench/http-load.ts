import { randomBytes } from 'node:crypto';
import { Agent, type IncomingMessage, request } from 'node:http';

const PIECE = randomBytes(262_144);

/** One keep-alive connection per worker, as a device holds it. */
export function agent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 64 });
}

export interface Sent {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

/** Sends `bytes` random bytes and resolves with the answer; rejects where the status is not 2xx. */
export function send(options: {
  url: string;
  method?: string;
  bytes: number;
  headers: Record<string, string>;
  agent: Agent;
}): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const req = request(options.url, {
      method: options.method ?? 'POST',
      agent: options.agent,
      headers: { 'content-length': options.bytes, ...options.headers },
    });
    req.on('error', reject);
    req.on('response', (res) => {
      const parts: Buffer[] = [];
      res.on('data', (part: Buffer) => parts.push(part));
      res.on('end', () => {
        const status = res.statusCode ?? 0;
        const body = Buffer.concat(parts).toString();
        if (status >= 200 && status < 300) resolve({ status, headers: res.headers, body });
        else reject(new Error(`${options.method ?? 'POST'} answered ${status}: ${body.slice(0, 300)}`));
      });
    });
    let left = options.bytes;
    const more = () => {
      while (left > 0) {
        const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
        left -= piece.length;
        if (!req.write(piece)) {
          req.once('drain', more);
          return;
        }
      }
      req.end();
    };
    more();
  });
}

/** Reads a body to its end and throws it away; resolves with the bytes that came. */
export function receive(options: { url: string; headers?: Record<string, string>; agent: Agent }): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = request(options.url, {
      agent: options.agent,
      headers: { 'user-agent': 'curl/bench', ...options.headers },
    });
    req.on('error', reject);
    req.on('response', (res) => {
      let bytes = 0;
      res.on('data', (part: Buffer) => {
        bytes += part.length;
      });
      res.on('error', reject);
      res.on('end', () => {
        if ((res.statusCode ?? 0) < 300) resolve(bytes);
        else reject(new Error(`GET answered ${res.statusCode}`));
      });
    });
    req.end();
  });
}

/** Runs `count` jobs with `width` at a time. */
export async function inParallel(
  count: number,
  width: number,
  job: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await job(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
