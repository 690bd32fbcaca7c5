import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a proxy in front of the server does that a server must never do. */
export type Lie =
  /** Some uploads are answered as taken and never reach the server. */
  | 'loses-uploads'
  /** Some uploads are taken, and answered with the digest of something else. */
  | 'wrong-digest'
  /** Devices that have proven their new key are told at once that it is settled, whatever the server thinks. */
  | 'settles-falsely'
  /** Some uploads are stored a second time. */
  | 'stores-twice'
  /** Nobody is ever told that the upload limit is reached: what is over it is answered as taken. */
  | 'no-limit'
  /** The generation that is wanted falls now and then. */
  | 'generation-falls'
  /** Every answer repeats the key it was asked with. */
  | 'echoes-key';

const EVERY = 5;

/** A reverse proxy on a port of its own that lies in one way. `none` does not: what is found then is the proxy's fault. */
export async function startLyingProxy(
  target: string,
  lie: Lie | 'none',
): Promise<{ url: string; close(): Promise<void> }> {
  let uploads = 0;
  let answers = 0;
  const staged = new Map<string, number>();
  const server = createServer(async (incoming, outgoing) => {
    const body = await wholeOf(incoming);
    const isUpload = incoming.method === 'POST' && incoming.url === '/v1/upload';
    const nth = isUpload ? ++uploads : 0;
    if (lie === 'loses-uploads' && isUpload && nth % EVERY === 0) return answerTaken(outgoing, body);
    const proven = provenOf(staged, incoming, body);
    const answer = await forward(target, incoming, body);
    if (lie === 'stores-twice' && isUpload && nth % EVERY === 0) {
      const again = { ...incoming.headers, 'idempotency-key': `${nth}-${'again'.repeat(5)}` };
      await forward(target, { method: incoming.method, url: incoming.url, headers: again }, body);
    }
    if (lie === 'no-limit' && isUpload && answer.status === 429) return answerTaken(outgoing, body);
    change(lie, answer, { isUpload, nth, count: ++answers, key: incoming.headers.authorization, proven });
    outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
    outgoing.end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The generation of the new key of a device that says it has proven it; null for any other. `staged` remembers registrations. */
function provenOf(staged: Map<string, number>, incoming: IncomingMessage, body: Buffer): number | null {
  const said = String(incoming.headers['fuselink-device'] ?? '');
  const boot = /tag=(\w+)/.exec(said)?.[1] ?? '';
  if (incoming.url === '/v1/device/rotation') {
    staged.set(boot, Number((JSON.parse(body.toString()) as { generation: number }).generation));
  }
  return said.includes('phase=PROVEN') ? (staged.get(boot) ?? null) : null;
}

interface Passed {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

function change(
  lie: Lie | 'none',
  answer: Passed,
  of: { isUpload: boolean; nth: number; count: number; key: string | undefined; proven: number | null },
): void {
  const told = answer.headers['fuselink-rotation'];
  if (lie === 'settles-falsely' && of.proven !== null) answer.headers['fuselink-rotation'] = `settled;gen=${of.proven}`;
  if (lie === 'generation-falls' && typeof told === 'string' && of.count % 3 === 0) {
    answer.headers['fuselink-rotation'] = told.replace(/wanted;gen=(\d+)/, (_, gen) => `wanted;gen=${Number(gen) - 1}`);
  }
  if (lie === 'wrong-digest' && of.isUpload && answer.status === 201 && of.nth % EVERY === 0) {
    const json = JSON.parse(answer.body.toString()) as Record<string, unknown>;
    answer.body = Buffer.from(JSON.stringify({ ...json, sha256: createHash('sha256').update('else').digest('hex') }));
  }
  if (lie === 'echoes-key' && of.key !== undefined && answer.body[0] === 0x7b) {
    const json = JSON.parse(answer.body.toString()) as Record<string, unknown>;
    answer.body = Buffer.from(JSON.stringify({ ...json, asked_with: of.key }));
  }
}

async function wholeOf(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  try {
    for await (const part of stream) parts.push(part as Buffer);
  } catch {
    // The client has gone in the middle of its request: what came of it is passed on by nobody.
    stream.destroy();
  }
  return Buffer.concat(parts);
}

function forward(
  target: string,
  incoming: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  body: Buffer,
): Promise<Passed> {
  const { method, url, headers } = incoming;
  const { 'transfer-encoding': _, connection: __, ...kept } = headers;
  return new Promise((resolve) => {
    const onward = request(target + url, { method, headers: { ...kept, 'content-length': body.length } });
    onward.on('response', async (response) => {
      const { 'transfer-encoding': ___, connection: ____, ...told } = response.headers;
      resolve({ status: response.statusCode ?? 502, headers: told, body: await wholeOf(response) });
    });
    onward.on('error', () => resolve({ status: 502, headers: {}, body: Buffer.alloc(0) }));
    onward.end(body);
  });
}

function answerTaken(outgoing: ServerResponse, body: Buffer): void {
  const sha256 = createHash('sha256').update(body).digest('hex');
  const id = `tr_${sha256.slice(0, 20)}`;
  const url = `http://127.0.0.1/get/${sha256.slice(0, 43)}`;
  const text = JSON.stringify({
    id,
    url,
    size: body.length,
    sha256,
    state: 'ready',
    expires_at: '2100-01-01T00:00:00Z',
  });
  outgoing.writeHead(201, {
    'content-type': 'application/json',
    'content-length': text.length,
    'ratelimit-policy': '"uploads";q=60;w=60',
  });
  outgoing.end(text);
}
