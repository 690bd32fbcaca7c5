import { createHash } from 'node:crypto';
import { type RawAnswer, RawConnection, rawExchange } from './raw-http.ts';

const CHUNK_TYPE = 'Content-Type: application/offset+octet-stream';

/** A tus 1.0 client for tests, one request a call, with every field in the test's hand. */
export function tusClient(server: { port: number }, key: string) {
  const base = ['Host: x', `X-API-Key: ${key}`, 'Tus-Resumable: 1.0.0'];
  const request = (
    method: string,
    path: string,
    fields: readonly string[] = [],
    body?: string | Uint8Array,
  ): Promise<RawAnswer> => {
    const length = body === undefined ? [] : [`Content-Length: ${body.length}`];
    const whole = { head: `${method} ${path} HTTP/1.1`, fields: [...base, ...length, ...fields] };
    return rawExchange(server.port, body === undefined ? whole : { ...whole, body });
  };
  return {
    request,
    /** The path of a new upload; throws where it was refused. */
    async create(fields: readonly string[]): Promise<string> {
      const answer = await request('POST', '/v1/uploads', fields, '');
      if (answer.status !== 201) throw new Error(`expected 201, got ${answer.status} ${answer.text()}`);
      return new URL(answer.headers['location'] ?? '').pathname;
    },
    patch: (path: string, offset: number, body: string | Uint8Array, fields: readonly string[] = []) =>
      request('PATCH', path, [CHUNK_TYPE, `Upload-Offset: ${offset}`, ...fields], body),
    head: (path: string) => request('HEAD', path),
    async offset(path: string): Promise<number> {
      return Number((await request('HEAD', path)).headers['upload-offset']);
    },
    /** A PATCH that has only begun: announces `announced` bytes and sends some of them. */
    async beginPatch(path: string, offset: number, announced: number, sent: Uint8Array): Promise<RawConnection> {
      const connection = await RawConnection.open(server.port);
      const fields = [CHUNK_TYPE, `Upload-Offset: ${offset}`, `Content-Length: ${announced}`];
      await connection.head(`PATCH ${path} HTTP/1.1`, [...base, ...fields]);
      await connection.send(sent);
      return connection;
    },
  };
}

export function checksumField(algorithm: 'sha256' | 'sha1' | 'md5', bytes: string | Uint8Array): string {
  return `Upload-Checksum: ${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`;
}
