import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { ERRORS, type ErrorCode } from '#sdk/protocol';
import { decode, type FakeRelay, type Fault, type Held, sha256 } from './relay-script.ts';

export type { FakeRelay, Fault, Held } from './relay-script.ts';

/**
 * A relay in memory that speaks the wire contract of the device SDK (uploads, tus, claim and acknowledge) and does
 * wrong on demand. It shares no code with the server, so that both cannot be wrong together unnoticed.
 */
export async function fakeRelay(tls?: { key: string; cert: string }): Promise<FakeRelay> {
  const byKey = new Map<string, Held>();
  const sockets = new Set<Socket>();
  const handler = (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response).catch(() => request.socket.destroy());
  };
  const server: Server = tls === undefined ? http.createServer(handler) : https.createServer(tls, handler);
  server.on('checkContinue', handler);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });

  const relay: FakeRelay = {
    url: '',
    server,
    held: [],
    faults: [],
    requests: [],
    headers: [],
    keys: new Set(['good-key']),
    revoked: new Map(),
    cutDownloads: [],
    cutUploads: [],
    loseAnswers: [],
    corruptDownloads: 0,
    finished: () => relay.held.filter((held) => held.done && !held.removed),
    content: (held) => Buffer.concat(held.bytes),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function answer(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    headers: Record<string, string>,
    body?: object,
  ): void {
    const losing = relay.loseAnswers.findIndex((matches) => matches(request));
    if (losing >= 0) {
      relay.loseAnswers.splice(losing, 1);
      request.socket.destroy();
      return;
    }
    const text = body === undefined || request.method === 'HEAD' ? '' : JSON.stringify(body);
    response.writeHead(status, { 'Content-Length': String(Buffer.byteLength(text)), ...headers });
    response.end(text);
  }

  function problem(
    request: IncomingMessage,
    response: ServerResponse,
    code: ErrorCode,
    more: Record<string, unknown> = {},
  ): void {
    const { status, title } = ERRORS[code];
    const headers: Record<string, string> = { 'Content-Type': 'application/problem+json' };
    if (typeof more['retryAfter'] === 'number') headers['Retry-After'] = String(more['retryAfter']);
    answer(request, response, status, headers, { type: `urn:${code}`, title, status, code, detail: title, ...more });
  }

  function refusedKey(request: IncomingMessage): ErrorCode | null {
    const key = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (relay.revoked.has(key)) return 'key_revoked';
    return relay.keys.has(key) ? null : 'key_unknown';
  }

  function link(held: Held): string {
    return `${relay.url}/get/${held.token}`;
  }

  function store(key: string | undefined, about: Partial<Held>): Held {
    const held: Held = {
      id: randomBytes(8).toString('hex'),
      token: randomBytes(16).toString('hex'),
      bytes: [],
      size: 0,
      length: null,
      filename: '',
      recipient: null,
      note: null,
      ttl: null,
      done: false,
      removed: false,
      burned: false,
      claim: null,
      creations: 0,
      ...about,
    };
    relay.held.push(held);
    if (key !== undefined) byKey.set(key, held);
    return held;
  }

  /** Take a body, cutting it where a fault says so. Returns whether it came whole. */
  async function take(request: IncomingMessage, into: (chunk: Buffer) => void): Promise<boolean> {
    let cutAt = relay.cutUploads.length > 0 ? (relay.cutUploads[0] as number) : null;
    if (cutAt !== null && Number(request.headers['content-length'] ?? 0) <= cutAt) cutAt = null;
    else relay.cutUploads.shift();
    let seen = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      const most = cutAt === null ? chunk.length : Math.min(chunk.length, cutAt - seen);
      into(chunk.subarray(0, most));
      seen += most;
      if (cutAt !== null && seen >= cutAt) {
        request.socket.destroy();
        return false;
      }
    }
    return true;
  }

  async function oneShot(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = request.headers['idempotency-key'] as string | undefined;
    const parts: Buffer[] = [];
    if (!(await take(request, (chunk) => parts.push(chunk)))) return;
    const bytes = Buffer.concat(parts);
    const announced = /sha-256=:([^:]+):/.exec(String(request.headers['repr-digest'] ?? ''))?.[1];
    if (announced !== undefined && Buffer.from(announced, 'base64').toString('hex') !== sha256(bytes)) {
      problem(request, response, 'digest_mismatch');
      return;
    }
    const before = key === undefined ? undefined : byKey.get(key);
    if (before !== undefined && sha256(Buffer.concat(before.bytes)) !== sha256(bytes)) {
      problem(request, response, 'idempotency_mismatch');
      return;
    }
    const held =
      before ??
      store(key, {
        bytes: [bytes],
        size: bytes.length,
        length: bytes.length,
        done: true,
        filename: decode(request.headers['x-filename']) ?? '',
        recipient: decode(request.headers['x-recipient']),
        note: decode(request.headers['x-note']),
        ttl: decode(request.headers['x-ttl']),
      });
    if (held.burned) {
      answer(
        request,
        response,
        200,
        { 'Content-Type': 'application/json' },
        { id: held.id, state: 'burned', url: null },
      );
      return;
    }
    answer(
      request,
      response,
      201,
      { 'Content-Type': 'application/json' },
      {
        id: held.id,
        url: link(held),
        expires_at: '2030-01-01T00:00:00Z',
        size: held.size,
        sha256: sha256(relay.content(held)),
        filename: held.filename,
      },
    );
  }

  function metadata(text: string | undefined): Record<string, string> {
    const out: Record<string, string> = {};
    for (const pair of (text ?? '').split(',')) {
      const [name, value = ''] = pair.split(' ');
      if (name) out[name] = Buffer.from(value, 'base64').toString('utf8');
    }
    return out;
  }

  function create(request: IncomingMessage, response: ServerResponse): void {
    const key = request.headers['idempotency-key'] as string;
    const about = metadata(request.headers['upload-metadata'] as string | undefined);
    const length = request.headers['upload-length'];
    const held =
      byKey.get(key) ??
      store(key, {
        length: length === undefined ? null : Number(length),
        filename: about['filename'] ?? '',
        recipient: about['recipient'] ?? null,
        note: about['note'] ?? null,
        ttl: about['ttl'] ?? null,
      });
    held.creations += 1;
    answer(request, response, 201, { Location: `/v1/uploads/${held.token}`, 'Tus-Resumable': '1.0.0' });
  }

  function tusHeaders(held: Held): Record<string, string> {
    const headers: Record<string, string> = { 'Tus-Resumable': '1.0.0', 'Upload-Offset': String(held.size) };
    if (held.length !== null) headers['Upload-Length'] = String(held.length);
    if (held.done) {
      headers['Fuselink-Url'] = link(held);
      headers['Fuselink-Id'] = held.id;
      headers['Repr-Digest'] = `sha-256=:${Buffer.from(sha256(relay.content(held)), 'hex').toString('base64')}:`;
    }
    return headers;
  }

  async function resumable(request: IncomingMessage, response: ServerResponse, token: string): Promise<void> {
    const held = relay.held.find((one) => one.token === token && !one.removed);
    if (held === undefined) {
      problem(request, response, 'upload_unknown');
      return;
    }
    if (request.method === 'DELETE') {
      held.removed = true;
      answer(request, response, 204, {});
      return;
    }
    if (request.method === 'PATCH') {
      if (Number(request.headers['upload-offset']) !== held.size) {
        problem(request, response, 'tus_offset_mismatch');
        return;
      }
      const length = request.headers['upload-length'];
      if (length !== undefined) held.length = Number(length);
      const whole = await take(request, (chunk) => {
        held.bytes.push(Buffer.from(chunk));
        held.size += chunk.length;
      });
      held.done = held.size === held.length;
      if (!whole) return;
    }
    answer(request, response, request.method === 'HEAD' ? 200 : 204, tusHeaders(held));
  }

  async function read(request: IncomingMessage, response: ServerResponse, token: string, verb: string): Promise<void> {
    const held = relay.held.find((one) => one.token === token && one.done);
    if (held === undefined || held.removed) {
      problem(request, response, 'link_unknown');
      return;
    }
    if (held.burned) {
      problem(request, response, 'link_burned');
      return;
    }
    const bytes = relay.content(held);
    if (verb === 'claim') {
      held.claim = randomBytes(8).toString('hex');
      answer(
        request,
        response,
        200,
        { 'Content-Type': 'application/json' },
        {
          claim: held.claim,
          lease_seconds: 60,
          lease_expires_at: '2030-01-01T00:00:00Z',
          filename: held.filename,
          content_type: 'application/octet-stream',
          size: bytes.length,
          sha256: sha256(bytes),
          note: held.note,
          expires_at: '2030-01-01T00:00:00Z',
          sealed: false,
        },
      );
      return;
    }
    if (request.headers['fuselink-claim'] !== held.claim) {
      problem(request, response, 'claim_unknown');
      return;
    }
    if (verb === 'ack') {
      const parts: Buffer[] = [];
      await take(request, (chunk) => parts.push(chunk));
      const said = (JSON.parse(Buffer.concat(parts).toString()) as { sha256: string }).sha256;
      if (said !== sha256(bytes)) problem(request, response, 'ack_digest_mismatch');
      else {
        held.burned = true;
        answer(request, response, 200, { 'Content-Type': 'application/json' }, { state: 'burned' });
      }
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const body = Buffer.from(bytes.subarray(from));
    if (relay.corruptDownloads > 0 && body.length > 0) {
      relay.corruptDownloads -= 1;
      body[0] = (body[0] as number) ^ 1;
    }
    const headers: Record<string, string> = { 'Content-Length': String(body.length), ETag: `"${held.id}"` };
    if (from > 0) headers['Content-Range'] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(from > 0 ? 206 : 200, headers);
    const cut = relay.cutDownloads.shift();
    if (cut === undefined || cut >= body.length) response.end(body);
    else response.write(body.subarray(0, cut), () => request.socket.end());
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://relay').pathname;
    relay.requests.push(`${request.method} ${path.replace(/(uploads|get)\/[^/]+/, '$1/:secret')}`);
    relay.headers.push(request.headers);
    const index = relay.faults.findIndex((fault) => fault.on(request));
    if (index >= 0) {
      const [fault] = relay.faults.splice(index, 1) as [Fault];
      if (await fault.run({ request, response, socket: request.socket })) return;
    }
    const parts = path.split('/').slice(1);
    if (parts[0] === 'get') {
      if (request.headers.expect !== undefined) response.writeContinue();
      await read(request, response, parts[1] ?? '', parts[2] ?? '');
      return;
    }
    const refused = refusedKey(request);
    if (refused !== null) {
      const key = (request.headers.authorization ?? '').replace('Bearer ', '');
      problem(request, response, refused, refused === 'key_revoked' ? { fingerprint: relay.revoked.get(key) } : {});
      return;
    }
    if (request.headers.expect !== undefined) response.writeContinue();
    if (path === '/v1/upload') await oneShot(request, response);
    else if (path === '/v1/uploads') create(request, response);
    else if (parts[1] === 'uploads') await resumable(request, response, parts[2] ?? '');
    else if (parts[1] === 'transfers' && request.method === 'DELETE') {
      const held = relay.held.find((one) => one.id === parts[2]);
      if (held !== undefined) held.removed = true;
      answer(request, response, held === undefined ? 404 : 204, {});
    } else problem(request, response, 'not_found');
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  relay.url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  return relay;
}
