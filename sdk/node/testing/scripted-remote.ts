import { createHash } from 'node:crypto';
import { HttpResponse, http, type JsonBodyType } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll } from 'vitest';

/** A remote server that answers from a script, one line a request: what stands between a device and its relay. */
export const RELAY = 'http://relay.test';

export interface SeenRequest {
  method: string;
  path: string;
  key: string | null;
  idempotency: string | null;
  body: Buffer;
}

/** One line of a script: the answer to one request. */
export type Answer = (request: SeenRequest) => Response;

export interface ScriptedRemote {
  /** The requests since the script began, in order. */
  seen: SeenRequest[];
  plays(...answers: Answer[]): void;
}

/** Stands in for `RELAY` for the tests of one file. A request beyond the script fails it. */
export function scriptedRemote(): ScriptedRemote {
  const remote = setupServer();
  beforeAll(() => remote.listen({ onUnhandledRequest: 'error' }));
  afterAll(() => remote.close());
  afterEach(() => remote.resetHandlers());
  const scripted: ScriptedRemote = {
    seen: [],
    plays(...answers) {
      const script = [...answers];
      const seen: SeenRequest[] = [];
      scripted.seen = seen;
      remote.use(
        http.all(`${RELAY}/*`, async ({ request }) => {
          const one = {
            method: request.method,
            path: new URL(request.url).pathname,
            key: request.headers.get('authorization'),
            idempotency: request.headers.get('idempotency-key'),
            body: Buffer.from(await request.arrayBuffer()),
          };
          seen.push(one);
          const next = script.shift();
          if (next === undefined) throw new Error(`no line of the script is left for ${request.method} ${request.url}`);
          return next(one);
        }),
      );
    },
  };
  return scripted;
}

export const json =
  (status: number, body: JsonBodyType, headers: Record<string, string> = {}): Answer =>
  () =>
    HttpResponse.json(body, { status, headers });

export const problem = (
  status: number,
  code: string,
  headers: Record<string, string> = {},
  more: Record<string, string> = {},
): Answer =>
  json(status, { code, status, detail: code, ...more }, { 'Content-Type': 'application/problem+json', ...headers });

export const page =
  (status: number, headers: Record<string, string> = {}): Answer =>
  () =>
    new HttpResponse('<html>Welcome to the hotel</html>', {
      status,
      headers: { 'Content-Type': 'text/html', ...headers },
    });

export const nothing =
  (status: number): Answer =>
  () =>
    new HttpResponse(null, { status });

export const broken: Answer = () => HttpResponse.error();

/** Stored, as a relay says it of the very bytes that came. */
export const stored =
  (over: Record<string, JsonBodyType> = {}): Answer =>
  ({ body }) =>
    HttpResponse.json(
      {
        id: 't1',
        url: `${RELAY}/get/secret`,
        expires_at: '2030-01-01T00:00:00Z',
        size: body.length,
        sha256: createHash('sha256').update(body).digest('hex'),
        ...over,
      },
      { status: 201 },
    );
