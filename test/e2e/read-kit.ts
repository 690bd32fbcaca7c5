import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import type { TransferAnswer, UploadAnswer } from '#sdk/protocol';
import { seededBytes } from '../support/seeded-bytes.ts';
import { startTestServer, type TestServer, temporaryFolder } from '../support/test-server.ts';
import { until } from '../support/until.ts';

/** Whether a program is on this machine; tests of clients that are not say so and skip. */
export function installed(program: string): boolean {
  const found = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
  if (!found) console.warn(`skipped: ${program} is not installed`);
  return found;
}

export interface ReadServer extends Omit<TestServer, 'restart'> {
  tls: boolean;
  /** Uploads `length` seeded bytes; options as form fields are called. */
  upload(length: number, options?: Record<string, string>): Promise<UploadAnswer & { bytes: Buffer }>;
  receipt(id: string): Promise<TransferAnswer>;
  restart(env?: Record<string, string>): Promise<ReadServer>;
  /** The receipt once its state is `state`. */
  reaches(id: string, state: TransferAnswer['state']): Promise<TransferAnswer>;
  /** The receipt once no read is under way. */
  settled(id: string): Promise<TransferAnswer>;
}

/** A server of its own, plain or with a certificate made on the spot. */
export async function startReadServer(
  options: { tls?: boolean; env?: Record<string, string> } = {},
): Promise<ReadServer> {
  const folder = await temporaryFolder();
  const env = { ...options.env };
  if (options.tls === true) {
    const files = selfSigned(folder.path);
    env['FUSELINK_TLS_CERT'] = files.cert;
    env['FUSELINK_TLS_KEY'] = files.key;
  }
  const server = await startTestServer(env);
  return withReading(server, options.tls === true, folder.remove);
}

function withReading(server: TestServer, tls: boolean, removeFolder: () => Promise<void>): ReadServer {
  const authorization = { authorization: `Bearer ${server.accountKey}` };
  let seed = 0;
  const receipt = async (id: string) => {
    const { receiptOf } = await import('../../server/usecases/transfer/look.ts');
    const row = await server.deps.store.get('transfers', { id: id as never });
    if (row === null) throw new Error('expected a transfer, found none');
    return receiptOf(server.deps, row);
  };
  const reaches = (id: string, state: TransferAnswer['state']) =>
    until(`transfer ${state}`, async () => {
      const now = await receipt(id);
      return now.state === state ? now : null;
    });
  return {
    ...server,
    tls,
    async upload(length, options = {}) {
      const bytes = seededBytes(length, ++seed);
      const headers: Record<string, string> = { ...authorization, 'x-filename': 'reading.bin' };
      for (const [name, value] of Object.entries(options)) {
        headers[`x-${name.replaceAll('_', '-')}`] = encodeURIComponent(value);
      }
      const answer = await exchange(server.url, { method: 'POST', path: '/v1/upload', headers, body: bytes });
      if (answer.status !== 201) throw new Error(`upload refused: ${answer.body}`);
      return { ...(JSON.parse(answer.body.toString()) as UploadAnswer), bytes };
    },
    receipt,
    reaches,
    settled: (id) =>
      until('no read under way', async () => {
        const row = await server.deps.store.get('transfers', { id: id as never });
        return row !== null && row.lease_readers === 0 ? receipt(id) : null;
      }),
    async restart(env) {
      return withReading(await server.restart(env), tls, removeFolder);
    },
    async close() {
      await server.close();
      await removeFolder();
    },
  };
}

/** A certificate for this machine, made by openssl, and its key: paths of files in `folder`. */
export function selfSigned(folder: string): { cert: string; key: string } {
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const made = spawnSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout ${files.key} -out ${files.cert}`.split(
      ' ',
    ),
  );
  if (made.status !== 0) throw new Error(`openssl failed: ${made.stderr}`);
  return files;
}

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const rawSockets = new WeakMap<Socket, Socket>();

/** Connects to where a URL points, whatever its certificate says. */
export async function dial(url: string): Promise<Socket> {
  const { protocol, port } = new URL(url);
  const raw = createConnection({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
  raw.on('error', () => {});
  await once(raw, 'connect');
  if (protocol === 'http:') return raw;
  const socket = tlsConnect({ socket: raw, rejectUnauthorized: false });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  rawSockets.set(socket, raw);
  return socket;
}

/** RST, as a killed peer or a lost radio link looks; under TLS on the connection below. */
export function reset(socket: Socket): void {
  (rawSockets.get(socket) ?? socket).resetAndDestroy();
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** One request on a connection of its own, closed by the client as soon as the answer is whole. */
export async function exchange(
  url: string,
  request: { method?: string; path?: string; headers?: Record<string, string>; body?: Uint8Array | string },
): Promise<Answer> {
  const socket = await dial(url);
  const body = request.body === undefined ? undefined : Buffer.from(request.body);
  const headers: Record<string, string> = { host: new URL(url).host, ...request.headers };
  if (body !== undefined) headers['content-length'] = String(body.length);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const method = request.method ?? 'GET';
  socket.write(`${method} ${request.path ?? new URL(url).pathname} HTTP/1.1\r\n${lines.join('')}\r\n`);
  if (body !== undefined) socket.write(body);
  const reader = new AnswerReader(socket);
  const head = await reader.head();
  const whole = method === 'HEAD' ? Buffer.alloc(0) : await reader.bytes(Number(head.headers['content-length'] ?? 0));
  socket.end();
  socket.once('end', () => socket.destroy());
  return { ...head, body: whole };
}

/** Takes an answer from a socket at a test's own pace: nothing is read that was not asked for. */
export class AnswerReader {
  readonly #socket: Socket;
  #left: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.pause();
  }

  async head(): Promise<{ status: number; headers: Record<string, string> }> {
    let text = '';
    while (!text.endsWith('\r\n\r\n')) text += (await this.bytes(1)).toString('latin1');
    const [line = '', ...fields] = text.trimEnd().split('\r\n');
    const headers = Object.fromEntries(
      fields.map((field) => [field.split(':')[0]?.toLowerCase() ?? '', field.slice(field.indexOf(':') + 1).trim()]),
    );
    return { status: Number(line.split(' ')[1]), headers };
  }

  /** The next `count` bytes. Throws where the connection ends before. */
  async bytes(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let got = 0;
    while (got < count) {
      if (this.#left.length === 0) this.#left = await this.#more();
      const part = this.#left.subarray(0, count - got);
      this.#left = this.#left.subarray(part.length);
      got += part.length;
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  async #more(): Promise<Buffer> {
    for (;;) {
      const piece = this.#socket.read() as Buffer | null;
      if (piece !== null) return piece;
      if (this.#socket.destroyed || this.#socket.readableEnded) throw new Error('the connection ended');
      await new Promise<void>((resolve) => {
        const wake = () => {
          for (const event of ['readable', 'end', 'close']) this.#socket.off(event, wake);
          resolve();
        };
        for (const event of ['readable', 'end', 'close']) this.#socket.once(event, wake);
      });
    }
  }
}

export const getHead = (url: string, fields: readonly string[] = [], version = '1.1') =>
  `${[`GET ${new URL(url).pathname} HTTP/${version}`, `Host: ${new URL(url).host}`, 'User-Agent: curl/8.0', ...fields].join('\r\n')}\r\n\r\n`;
