import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Options } from './blob-store.ts';

/** Credentials that the S3 server of the tests takes by default. */
const CREDENTIALS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };
export const BUCKET = 'fuselink-test';

export interface S3Server {
  options: S3Options;
  close(): Promise<void>;
}

interface S3rverInstance {
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}
type S3rverClass = new (options: Record<string, unknown>) => S3rverInstance;

/** The S3 server from npm, which knows nothing of this adapter; null where it is not installed. */
export function findS3Server(): S3rverClass | null {
  try {
    return createRequire(import.meta.url)('s3rver') as S3rverClass;
  } catch {
    return null;
  }
}

export async function startS3Server(S3rver: S3rverClass): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), 'fuselink-s3-'));
  const configureBuckets = [{ name: BUCKET, configs: [] }];
  const server = new S3rver({ address: '127.0.0.1', port: 0, silent: true, directory, configureBuckets });
  const { port } = await server.run();
  return {
    options: optionsFor(port),
    async close() {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function optionsFor(port: number): S3Options {
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bucket: BUCKET,
    prefix: '',
    region: 'us-east-1',
    addressing: 'path',
    ...CREDENTIALS,
    retryDelayMs: 1,
  };
}

/**
 * What the proxy does with a request: `pass` it on; answer `status` itself; pass it on and `lose` the answer; send only
 * `half` of the answer's body and cut; `hang` for ever.
 */
export type Treatment = 'pass' | 'lose' | 'half' | 'hang' | { status: number; code: string };

export interface FaultProxy {
  port: number;
  /** Decides for each request; `pass` by default. */
  treat: (request: { method: string; url: string }) => Treatment;
  /** Every request that came, as `METHOD path?query`. */
  seen: string[];
  close(): Promise<void>;
}

/** A proxy in front of an S3 server that fails as it is told. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const proxy: FaultProxy = { port: 0, treat: () => 'pass', seen: [], close: async () => undefined };
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '' } = incoming;
    proxy.seen.push(`${method} ${url}`);
    const treatment = proxy.treat({ method, url });
    if (treatment === 'hang') return void incoming.resume();
    if (typeof treatment === 'object') return refuse(incoming, outgoing, treatment);
    forward(new URL(url, target), incoming, outgoing, treatment);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.port = (server.address() as AddressInfo).port;
  proxy.close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return proxy;
}

function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code }: { status: number; code: string },
): void {
  incoming.resume().on('end', () => {
    outgoing.writeHead(status, { 'content-type': 'application/xml' });
    outgoing.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>AKIAEXAMPLE told</Message></Error>`);
  });
}

function forward(
  url: URL,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  treatment: 'pass' | 'lose' | 'half',
): void {
  const onward = request(url, { method: incoming.method ?? 'GET', headers: incoming.headers }, (answer) => {
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    answer.on('end', () => {
      const body = Buffer.concat(chunks);
      if (treatment === 'lose') return void outgoing.destroy();
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      if (treatment === 'pass' || body.byteLength < 2) return void outgoing.end(body);
      outgoing.write(body.subarray(0, body.byteLength / 2), () => outgoing.destroy());
    });
  });
  onward.on('error', () => outgoing.destroy());
  incoming.pipe(onward);
}
