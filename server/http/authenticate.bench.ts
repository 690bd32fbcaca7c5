import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import fastify from 'fastify';
import type { AccountId, KeyId } from '../domain/ids.ts';
import type { Write } from '../ports/metadata-store.ts';
import { readSettings } from '../settings.ts';
import { createAccount } from '../usecases/account/create-account.ts';
import type { Deps } from '../usecases/deps.ts';
import { authenticate } from '../usecases/key/authenticate.ts';
import { mintKey } from '../usecases/key/mint-key.ts';
import { wire } from '../wiring.ts';
import type { HttpSettings, RouteDef } from './route.ts';
import { serve } from './serve.ts';

/**
 * `npx tsx server/http/authenticate.bench.ts [keys]`: what authentication costs a small request (the same route with
 * and without it, over HTTP, on SQLite), and the look-up alone while the stored keys grow from 10 to 1,000,000.
 */
const CONNECTIONS = 32;
/** Short slices in turn: what else the machine does then weighs on both alike. */
const SLICE_MS = 250;
const BEAT_MS = 16;
const SETTLE_MS = 30;
const SLICES = 40;
const WARM_SLICES = 8;
const KEYS_MAX = Number(process.argv[2] ?? 1_000_000);
const INSERTED_AT_ONCE = 10_000;
const LOOKUPS = 20_000;

interface Load {
  port: number;
  key: string;
  /** Milliseconds between two batches of one request on each connection; null: as fast as answers come. */
  beatMs: number | null;
}

if (import.meta.url.endsWith('.ts')) await runBuilt();
else if (process.argv[2] === 'load') load(JSON.parse(process.argv[3] ?? '{}') as Load);
else await bench();

/** Measures what operators run, a bundle: tsx names every closure as it is made, which small requests feel. */
async function runBuilt(): Promise<void> {
  const folder = fileURLToPath(new URL('../../node_modules/.cache/fuselink-bench', import.meta.url));
  const outfile = join(folder, 'authenticate.mjs');
  const shape = { bundle: true, platform: 'node', format: 'esm', target: 'node20.19', packages: 'external' } as const;
  await build({ entryPoints: [fileURLToPath(import.meta.url)], outfile, ...shape });
  const child = fork(outfile, process.argv.slice(2), { execArgv: [] });
  process.exitCode = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

/**
 * Requests on keep-alive connections, one at a time each. `whole`: as fast as answers come. Else one on each connection at every beat,
 * so that a batch finds the server as another one does: how often either of them sleeps weighs more than the work itself.
 * Told a path, it answers with how many were answered, and in what time.
 */
function load({ port, key, beatMs }: Load): void {
  let text = '';
  let answers = 0;
  const waiting = new Set<Socket>();
  const ask = (socket: Socket) => {
    waiting.add(socket);
    socket.write(text);
  };
  const sockets = Array.from({ length: CONNECTIONS }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (bytes) => {
      if (bytes.indexOf('HTTP/1.1 200') !== 0) throw new Error(`expected 200, got ${bytes.toString().slice(0, 60)}`);
      answers++;
      waiting.delete(socket);
      if (text !== '' && beatMs === null) ask(socket);
    });
    return socket;
  });
  const askIdle = () => {
    for (const socket of sockets) if (!waiting.has(socket)) ask(socket);
  };
  process.on('message', (path: string) => {
    answers = 0;
    text = `GET ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${key}\r\n\r\n`;
    const startMs = performance.now();
    askIdle();
    const beating = beatMs === null ? undefined : setInterval(askIdle, beatMs);
    setTimeout(() => {
      clearInterval(beating);
      text = '';
      process.send?.({ answers, ms: performance.now() - startMs });
    }, SLICE_MS);
  });
}

interface Measured {
  perSecond: number;
  /** CPU time of this process for one answer: what it costs, also where other work crowds the machine. */
  cpuMicroseconds: number;
}

/** One slice of load, with answers that are still on their way at its end left to come. */
async function measure(child: ChildProcess, path: string): Promise<Measured> {
  const cpu = process.cpuUsage();
  child.send(path);
  const [{ answers, ms }] = (await once(child, 'message')) as [{ answers: number; ms: number }];
  const { user, system } = process.cpuUsage(cpu);
  await pause(SETTLE_MS);
  return { perSecond: Math.round((answers / ms) * 1000), cpuMicroseconds: (user + system) / answers };
}

async function bench(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-bench-'));
  const settings = readSettings({ FUSELINK_DATA: join(folder, 'data') });
  const wired = await wire(settings, () => {});
  try {
    const account = await createAccount(wired.deps, { email: 'bench@example.com' });
    await benchHttp(wired.deps, account.apiKey);
    await benchStored(wired.deps, account.accountId, account.apiKey);
  } finally {
    await wired.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function benchHttp(deps: Deps, key: string): Promise<void> {
  const about = {
    method: 'GET',
    body: 'none',
    operation: { operationId: 'bench', summary: '', responses: {} },
    handle: async () => ({ status: 200, json: { status: 'alive' } }),
  } as const;
  const routes: RouteDef[] = [
    { ...about, path: '/open', auth: 'none' },
    { ...about, path: '/keyed', auth: 'key' },
  ];
  const http: HttpSettings = {
    publicUrl: null,
    trustProxy: false,
    tls: false,
    idleTimeoutMs: 60_000,
    lingerMs: 1_000,
    version: 'bench',
  };
  const app = fastify({ logger: false });
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      handler: async (request, reply) => {
        reply.hijack();
        await serve(request.raw, reply.raw, { deps, http, route, params: {} });
      },
    });
  }
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  for (const beatMs of [null, BEAT_MS]) await compare({ port, key, beatMs });
  await app.close();
}

/** The same route without and with authentication, in turn. */
async function compare(how: Load): Promise<void> {
  // A process of its own: the load must not share the server's thread.
  const child = fork(fileURLToPath(import.meta.url), ['load', JSON.stringify(how)]);
  const open: Measured[] = [];
  const keyed: Measured[] = [];
  for (let slice = 0; slice < WARM_SLICES + SLICES; slice++) {
    const one = await measure(child, '/open');
    const other = await measure(child, '/keyed');
    if (slice < WARM_SLICES) continue;
    open.push(one);
    keyed.push(other);
  }
  child.kill();
  const load = how.beatMs === null ? 'as fast as answers come' : `${CONNECTIONS} every ${how.beatMs} ms`;
  console.log(`${load}: without authentication ${said(open)}, with it ${said(keyed)}`);
  const of = (ratio: (one: Measured, other: Measured) => number) =>
    median(open.map((one, i) => ratio(one, keyed[i] as Measured))).toFixed(2);
  const rate = of((one, other) => other.perSecond / one.perSecond);
  const cost = of((one, other) => one.cpuMicroseconds / other.cpuMicroseconds);
  console.log(`${load}: of the rate without ${rate}, of its CPU time ${cost} (medians of ${SLICES} slices in turn)`);
}

function said(slices: Measured[]): string {
  const rate = median(slices.map(({ perSecond }) => perSecond));
  return `${rate}/s at ${median(slices.map(({ cpuMicroseconds }) => cpuMicroseconds)).toFixed(0)} µs`;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function benchStored(deps: Deps, accountId: AccountId, text: string): Promise<void> {
  let stored = 1;
  const own = Uint8Array.from(Buffer.from(text, 'hex'));
  const known: Uint8Array[] = [own];
  for (let wanted = 10; wanted <= KEYS_MAX; wanted *= 10) {
    while (stored < wanted) {
      const writes: Write[] = [];
      for (let i = Math.min(INSERTED_AT_ONCE, wanted - stored); i > 0; i--) {
        const { row, key } = mintKey(deps, {
          accountId,
          kind: 'account',
          deviceId: null,
          name: 'bench',
          role: 'owner',
        });
        writes.push({ kind: 'insert', table: 'api_keys', row: { ...row, id: row.id as KeyId } });
        if (known.length < 10_000) known.push(Uint8Array.from(Buffer.from(key, 'hex')));
      }
      const outcome = await deps.store.commit(writes);
      if (!outcome.ok) throw new Error('expected the keys to be stored');
      stored += writes.length;
    }
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    for (let i = 0; i < LOOKUPS; i++) {
      const bytes = known[i % known.length] ?? own;
      await authenticate(deps, { ok: true, credential: { kind: 'key', bytes } }, '127.0.0.1');
    }
    const perSecond = Math.round((LOOKUPS / (performance.now() - startMs)) * 1000);
    const { user, system } = process.cpuUsage(cpu);
    const each = ((user + system) / LOOKUPS).toFixed(1);
    console.log(`${String(stored).padStart(9)} keys stored: ${perSecond} authentications/s, ${each} µs of CPU each`);
  }
}
