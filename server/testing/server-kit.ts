import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from 'otpauth';
import type { Clock } from '../ports/crypto.ts';
import { readSettings } from '../settings.ts';
import { type RunningServer, startServer } from '../start.ts';
import { type CreatedAccount, createAccount, operatorOf } from '../usecases/account/create-account.ts';
import { enrolDevice } from '../usecases/device/enrol-device.ts';
import { SecretSet } from './secret-set.ts';

/** A whole server on a free port of the loopback, with a clock the test moves and accounts it can sign in to. */
export interface Kit {
  url: string;
  server: RunningServer;
  /** Moves the server's wall clock on. */
  advance(ms: number): void;
  /** From here on the server's wall clock moves by `advance` alone, however long the machine takes. */
  holdClock(): void;
  /** Every secret this kit made or was given: none may turn up in a log. */
  secrets: Set<string>;
  account(email?: string): Promise<TestAccount>;
  call(method: string, path: string, options?: CallOptions): Promise<Called>;
  stop(): Promise<void>;
}

export interface CallOptions {
  /** Value of `Authorization`, whole. */
  auth?: string;
  apiKey?: string;
  cookie?: string;
  json?: unknown;
  body?: string | Uint8Array;
  headers?: Record<string, string>;
}

export interface Called {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever the server said; each test says what it expects.
  json: any;
}

export interface TestAccount extends CreatedAccount {
  /** The code the authenticator shows now; each call goes on to the next half minute, so that it is fresh. */
  code(): string;
  /** Signs in natively: the JWT and the cookie pair (`name=value`). */
  signIn(): Promise<{ token: string; cookie: string; id: string }>;
  device(name: string, groups?: string[]): Promise<{ id: string; key: string }>;
}

export async function startKit(env: Record<string, string> = {}): Promise<Kit> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-kit-'));
  const server = await startServer(
    readSettings({
      FUSELINK_DATA: join(folder, 'data'),
      FUSELINK_PORT: '0',
      FUSELINK_METADATA: 'memory:',
      FUSELINK_BLOBS: 'memory:',
      ...env,
    }),
  );
  let aheadMs = 0;
  const real = server.deps.clock;
  let heldMs: number | null = null;
  const clock: Clock = {
    nowMs: () => (heldMs ?? real.nowMs()) + aheadMs,
    monotonicMs: () => real.monotonicMs() + aheadMs,
  };
  server.deps.clock = clock;
  const secrets = new SecretSet();
  let accounts = 0;

  const kit: Kit = {
    url: server.url,
    server,
    secrets,
    advance(ms) {
      aheadMs += ms;
    },
    holdClock() {
      heldMs = real.nowMs();
    },
    async account(email = `person-${++accounts}@example.com`) {
      const created = await createAccount(server.deps, { email });
      const seed = seedOf(created.totpUri);
      for (const secret of [created.apiKey, created.setupSecret, ...created.recoveryCodes]) secrets.add(secret);
      secrets.add(new URL(created.totpUri).searchParams.get('secret') ?? '');
      const code = () => {
        aheadMs += 30_000;
        return server.deps.totp.code(seed, Math.floor(clock.nowMs() / 30_000));
      };
      return {
        ...created,
        code,
        async signIn() {
          const answer = await kit.call('POST', '/v1/auth/login', {
            json: { email, api_key: created.apiKey, totp: code() },
          });
          if (answer.status !== 200) throw new Error(`expected to be signed in, got ${answer.text}`);
          const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
          secrets.add(answer.json.token);
          secrets.add(cookie.split('=')[1] ?? '');
          return { token: answer.json.token as string, cookie, id: answer.json.session_id as string };
        },
        async device(name, groups = []) {
          const made = await enrolDevice(server.deps, operatorOf(created.accountId, created.row), { name, groups });
          secrets.add(made.key);
          return { id: made.device.id, key: made.key };
        },
      };
    },
    call(method, path, options = {}) {
      // A kept connection may reach its idle limit at the very moment it is taken again.
      const close: Record<string, string> = env['FUSELINK_IDLE_SECONDS'] === undefined ? {} : { connection: 'close' };
      return callServer(server.url, method, path, { ...options, headers: { ...options.headers, ...close } });
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return kit;
}

/** One request to a server, wherever it runs, and its whole answer. */
export async function callServer(
  url: string,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Called> {
  const headers: Record<string, string> = { ...options.headers };
  if (options.auth !== undefined) headers['authorization'] = options.auth;
  if (options.apiKey !== undefined) headers['x-api-key'] = options.apiKey;
  if (options.cookie !== undefined) headers['cookie'] = options.cookie;
  if (options.json !== undefined) headers['content-type'] ??= 'application/json';
  const body = options.json === undefined ? options.body : JSON.stringify(options.json);
  const answer = await fetch(url + path, {
    method,
    headers,
    redirect: 'error',
    ...(body === undefined ? {} : { body: body as string }),
  });
  const endless = answer.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const text = endless ? await firstPart(answer) : await answer.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: answer.status, headers: answer.headers, text, json };
}

/** What a stream without an end says first. */
async function firstPart(answer: Response): Promise<string> {
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return Buffer.from(value ?? []).toString('utf8');
}

/** The 20 seed bytes of an `otpauth://` URI. */
export function seedOf(uri: string): Uint8Array {
  return new Uint8Array(Secret.fromBase32(new URL(uri).searchParams.get('secret') ?? '').buffer);
}
